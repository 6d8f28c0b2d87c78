"""The trigram index that search uses: pg_trgm on PostgreSQL, FTS5 over the same table on SQLite."""

from django.db import migrations

POSTGRESQL = [
    "CREATE EXTENSION IF NOT EXISTS pg_trgm",
    "CREATE INDEX orders_search_trigrams ON orders_searchentry USING gin (text gin_trgm_ops)",
]
SQLITE = [
    "CREATE VIRTUAL TABLE orders_search USING fts5"
    "(text, content='orders_searchentry', content_rowid='id', tokenize='trigram')",
    "CREATE TRIGGER orders_search_insert AFTER INSERT ON orders_searchentry BEGIN"
    " INSERT INTO orders_search(rowid, text) VALUES (new.id, new.text); END",
    "CREATE TRIGGER orders_search_delete AFTER DELETE ON orders_searchentry BEGIN"
    " INSERT INTO orders_search(orders_search, rowid, text) VALUES ('delete', old.id, old.text); END",
    "CREATE TRIGGER orders_search_update AFTER UPDATE OF text ON orders_searchentry BEGIN"
    " INSERT INTO orders_search(orders_search, rowid, text) VALUES ('delete', old.id, old.text);"
    " INSERT INTO orders_search(rowid, text) VALUES (new.id, new.text); END",
]


def make_index(apps, schema_editor):
    for statement in POSTGRESQL if schema_editor.connection.vendor == "postgresql" else SQLITE:
        schema_editor.execute(statement)


class Migration(migrations.Migration):
    dependencies = [("orders", "0001_initial")]
    operations = [migrations.RunPython(make_index, elidable=False)]
