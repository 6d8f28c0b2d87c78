"""History is append-only: the database refuses to change or delete an entry of the audit and an event of an order.

Only `data` of an event may be written again: personal data is blanked there (orders/privacy.py). So an order that has
events cannot be deleted either. SQLite drops the triggers of a table that a migration makes anew: such a migration runs
`guard` again. Whoever owns the database can drop the triggers, and on PostgreSQL TRUNCATE the tables.
"""

from django.db import migrations

KEPT = 'id, order_id, customer_id, sequence, kind, "by", at, source, target, seconds'
# name, what is refused, of which table
GUARDS = [
    ("audit_no_update", "UPDATE", "orders_auditentry"),
    ("audit_no_delete", "DELETE", "orders_auditentry"),
    ("event_no_update", f"UPDATE OF {KEPT}", "orders_event"),
    ("event_no_delete", "DELETE", "orders_event"),
]
FUNCTION = """
CREATE OR REPLACE FUNCTION orders_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'integrity_constraint_violation'; END $$
"""


def guard(apps, schema_editor):
    on_postgresql = schema_editor.connection.vendor == "postgresql"
    if on_postgresql:
        schema_editor.execute(FUNCTION, params=None)
    for name, what, table in GUARDS:
        if on_postgresql:
            refuse = "EXECUTE FUNCTION orders_refuse()"
        else:
            refuse = f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
        schema_editor.execute(f"CREATE TRIGGER {name} BEFORE {what} ON {table} FOR EACH ROW {refuse}")


def unguard(apps, schema_editor):
    on_postgresql = schema_editor.connection.vendor == "postgresql"
    for name, _what, table in GUARDS:
        schema_editor.execute(f"DROP TRIGGER IF EXISTS {name}" + (f" ON {table}" if on_postgresql else ""))
    if on_postgresql:
        schema_editor.execute("DROP FUNCTION IF EXISTS orders_refuse()")


class Migration(migrations.Migration):
    dependencies = [("orders", "0002_search")]
    operations = [migrations.RunPython(guard, unguard, elidable=False)]
