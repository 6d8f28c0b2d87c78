"""`manage.py backup [FILE]`: the database and all files in one file, while everything runs."""

import os
import tempfile
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder
from django.utils import timezone

from gelatoconnect.backups import archive, databases
from gelatoconnect.lib.secrets import EncryptedField
from gelatoconnect.operations import heartbeats

SEALED = "gelatoconnect"


class Command(BaseCommand):
    help = "Write the database and all files into one file, while everything runs"

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", nargs="?", type=Path, metavar="FILE",
                            help="where to; by default DATA_DIR/backups/gelatoconnect-<date>.tar")  # fmt: skip
        parser.add_argument("--with-secret-key", action="store_true",
                            help="put DATA_DIR/secret_key in: whoever has the backup can read every secret")  # fmt: skip

    def handle(self, *args: Any, file: Path | None, with_secret_key: bool, **options: Any) -> None:
        now = timezone.now()
        target = (file or settings.DATA_DIR / "backups" / f"gelatoconnect-{now:%Y%m%d-%H%M%S}.tar").resolve()
        if target.exists():
            raise CommandError(f"{target} is there already: a backup is never overwritten.")
        secret = settings.DATA_DIR / "secret_key" if with_secret_key else None
        if secret and (os.environ.get("SECRET_KEY") or not secret.is_file()):
            raise CommandError(
                "The secret key is set by SECRET_KEY: keep it with the settings, apart from the backups."
            )
        try:
            manifest = self.write(target, secret=secret, made_at=now.isoformat())
        except (databases.Impossible, OSError) as error:
            raise CommandError(str(error)) from None
        heartbeats.write(heartbeats.folder() / "backup.json", {
            "timestamp": now.timestamp(), "file": str(target), "bytes": target.stat().st_size})  # fmt: skip
        self.stdout.write(f"{target}: the database and {manifest.files:,} files, {target.stat().st_size:,} bytes.")
        for name in manifest.damaged:
            self.stderr.write(f"{name} is not what its name says: it was damaged on the disk before.")

    def write(self, target: Path, *, secret: Path | None, made_at: str) -> archive.Manifest:
        databases.check_tools()
        with (
            archive.appearing(target) as part,
            tempfile.TemporaryDirectory(dir=target.parent, prefix=".backup-") as room,
        ):
            database = Path(room) / databases.name()
            databases.save(database)
            applied = sorted(MigrationRecorder(connection).applied_migrations())
            manifest = archive.Manifest(
                made_at=made_at, version=settings.VERSION, database=database.name, migrations=[[*name] for name in applied],
                sealed=EncryptedField().get_prep_value(SEALED),
            )  # fmt: skip
            archive.write(part, manifest, database=database, secret=secret)
        return manifest
