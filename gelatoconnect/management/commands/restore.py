"""`manage.py restore FILE`: a backup's database and files, into an empty installation."""

import os
import tempfile
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connection
from django.db.models import Count, F

from gelatoconnect.backups import archive, databases
from gelatoconnect.backups.databases import Impossible
from gelatoconnect.lib.secrets import EncryptedField
from gelatoconnect.management.commands.backup import SEALED
from gelatoconnect.operations.health import known_migrations
from orders.models import Event, Order


class Command(BaseCommand):
    help = "Bring a backup's database and files back, into an empty installation. Stop everything else first."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path, metavar="FILE")
        parser.add_argument("--force", action="store_true", help="replace what is there: it is lost")

    def handle(self, *args: Any, file: Path, force: bool, **options: Any) -> None:
        try:
            reader = archive.Reader(file)
            try:
                self.restore(reader, force=force)
            finally:
                reader.close()
        except (Impossible, OSError) as error:
            raise CommandError(str(error)) from None

    def restore(self, reader: archive.Reader, *, force: bool) -> None:
        refuse_unless_it_fits(reader.manifest)
        if not force:
            refuse_unless_empty()
        settings.DATA_DIR.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=settings.DATA_DIR, prefix=".restore-") as room:
            database = Path(room) / reader.manifest.database
            reader.take_out(reader.manifest.database, database)
            for name in reader.names():  # before the database: nothing there may speak of what is not here
                put_in_place(reader, name)
            databases.load(database)
        if archive.SECRET in reader.members and not os.environ.get("SECRET_KEY"):
            self.bring_secret(reader)
        self.tell(reader.manifest)

    def bring_secret(self, reader: archive.Reader) -> None:
        target = settings.DATA_DIR / "secret_key"
        new = target.with_suffix(".new")
        reader.take_out(archive.SECRET, new)
        new.chmod(0o600)
        os.replace(new, target)
        self.stdout.write(f"The secret key is back in {target}.")
        if settings.ENCRYPTION_KEYS == [settings.SECRET_KEY]:
            settings.ENCRYPTION_KEYS = [target.read_text().strip()]

    def tell(self, manifest: archive.Manifest) -> None:
        wrong = gaps()
        counts = f"{Order.objects.count():,} orders, {Event.objects.count():,} events, {manifest.files:,} files"
        self.stdout.write(f"Restored as of {manifest.made_at}: {counts}.")
        for order in wrong:
            self.stderr.write(f"The history of order {order} has a gap.")
        if EncryptedField().from_db_value(manifest.sealed) != SEALED:
            self.stderr.write(
                "The secrets of connectors and webhooks cannot be read: set the ENCRYPTION_KEYS (or SECRET_KEY) of the "
                "installation that made the backup."
            )
        if known_migrations() - {(app, name) for app, name in manifest.migrations}:
            self.stdout.write("The backup is of an earlier version: run `manage.py migrate` before you start.")


def refuse_unless_it_fits(manifest: archive.Manifest) -> None:
    if manifest.database != databases.name():
        kind = "PostgreSQL" if manifest.database == databases.POSTGRESQL else "SQLite"
        raise Impossible(f"It is a backup of {kind}, and DATABASE_URL names {connection.display_name}.")
    databases.check_tools()
    if newer := sorted({(app, name) for app, name in manifest.migrations if app in OUR_APPS} - known_migrations()):
        raise Impossible(f"It is of a newer version ({'.'.join(newer[0])}): install {manifest.version} or later first.")


def refuse_unless_empty() -> None:
    if databases.holds_anything():
        raise Impossible("The database is not empty. With --force it is replaced, and what is in it is lost.")
    if next(archive.kept_files(), None):
        raise Impossible(
            f"{settings.FILES_DIR} is not empty. With --force the files are added to those that are there."
        )


def put_in_place(reader: archive.Reader, name: str) -> None:
    target = settings.FILES_DIR / Path(name).relative_to("files")
    target.parent.mkdir(parents=True, exist_ok=True)
    new = target.with_name(f".{target.name}.new")
    reader.take_out(name, new)
    os.replace(new, target)


def gaps() -> list[Any]:
    """Orders whose events are not 1, 2, 3 … up to the number that the order knows."""
    counted = Order.objects.annotate(count=Count("events"))
    return list(counted.exclude(count=F("sequence")).values_list("pk", flat=True)[:100])


OUR_APPS = ("orders", "intake", "shipping")
