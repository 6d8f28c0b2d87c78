"""`manage.py preflight FILE…`: looks into print files as it is done for orders, and says what speaks against them."""

import json
import os
import sys
from argparse import ArgumentParser
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from shutil import copyfile
from tempfile import TemporaryDirectory
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError

from gelatoconnect.lib.problems import Problem
from intake import preflight
from intake.checks.files import profile_of
from intake.preflight.limits import PAGES
from intake.preflight.profile import PROFILES
from orders.models import Product

USAGE = 2  # exit status when nothing was judged; 1 says that a file has errors
ORDER = ("error", "warning", "info")
VERDICTS = {"error": "failed", "warning": "warned", "": "passed"}
CLEAR = "\r\x1b[K"  # back to the beginning of the line, and empty it (ECMA-48)


@dataclass(frozen=True, slots=True)
class Judged:
    """A file and what was found in it. worst: the gravest severity, empty when nothing speaks against printing it."""

    path: Path
    format: str
    page_count: int
    problems: list[Problem]

    @property
    def worst(self) -> str:
        found = {problem.severity for problem in self.problems}
        return next((severity for severity in ("error", "warning") if severity in found), "")

    def as_dict(self) -> dict[str, Any]:
        return {"file": shown(self.path), "verdict": VERDICTS[self.worst], "format": self.format,
                "pageCount": self.page_count, "problems": [problem.as_dict() for problem in self.problems]}  # fmt: skip


class Command(BaseCommand):
    help = (
        "Look into print files and say what speaks against printing them. Without --product sizes and numbers of pages are "
        "not checked. The exit status is 1 when a file has errors, 2 when there is nothing to judge."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "paths", nargs="+", type=Path, metavar="FILE", help="or a folder: all in it but hidden files"
        )
        parser.add_argument("--product", metavar="UID", help="hold the files against this product of the catalogue")
        parser.add_argument("--profile", choices=PROFILES, help="thresholds (the product's own, or digital)")
        parser.add_argument("--json", action="store_true", help="one JSON document for each file, on a line of its own")

    def handle(self, *, paths: list[Path], product: str | None, profile: str | None, **options: Any) -> None:
        asked, files = profile_asked(product, profile), list(files_in(paths))
        if not files:
            raise CommandError("There are no files.", returncode=USAGE)
        tell = self.tell_json if options["json"] else self.tell
        verdicts: Counter[str] = Counter()
        for judged in watched(judge_all(files, asked), total=len(files)):
            verdicts[judged.worst] += 1
            tell(judged)
        if len(files) > 1 and not options["json"]:
            counted = [f"{verdicts[worst]} {words}" for worst, words in VERDICTS.items() if verdicts[worst]]
            self.stdout.write(f"{len(files)} files: {', '.join(counted)}.")
        if verdicts["error"]:
            sys.exit(1)

    def tell_json(self, judged: Judged) -> None:
        self.stdout.write(json.dumps(judged.as_dict()))

    def tell(self, judged: Judged) -> None:
        pages = f", {judged.page_count} page{'s' * (judged.page_count != 1)}" if judged.page_count else ""
        verdict = self.styled(judged.worst, VERDICTS[judged.worst])
        self.stdout.write(f"{shown(judged.path)} ({judged.format}{pages}): {verdict}")
        for problem in sorted(judged.problems, key=lambda problem: ORDER.index(problem.severity)):
            weight = self.styled(problem.severity, f"{problem.severity:7}")
            self.stdout.write(f"  {weight} {readable(problem.message)} [{problem.code}]")
            if problem.hint and problem.severity != "info":
                self.stdout.write(f"          {readable(problem.hint)}")

    def styled(self, severity: str, text: str) -> str:
        styles = {"error": self.style.ERROR, "warning": self.style.WARNING, "": self.style.SUCCESS}
        return styles[severity](text) if severity in styles else text


def profile_asked(uid: str | None, name: str | None) -> preflight.Profile:
    """What the files are held against. Without a product: any size, and as many pages as are looked into."""
    if uid is None:
        return preflight.profile(name or "digital", pages_max=PAGES)
    try:
        product = Product.objects.filter(uid=uid).first()
    except DatabaseError as error:
        raise CommandError(f"The catalogue cannot be read: {error}", returncode=USAGE) from None
    if product is None:
        raise CommandError(f"There is no product {uid!r} in the catalogue.", returncode=USAGE)
    product.print_profile = name or product.print_profile
    return profile_of(product)


def files_in(paths: Iterable[Path]) -> Iterator[Path]:
    """The files as named, and those in folders, by name; what is hidden in a folder is left out."""
    for path in paths:
        if path.is_dir():
            found = (one for one in path.rglob("*") if one.is_file())
            yield from sorted(
                one for one in found if not any(part.startswith(".") for part in one.relative_to(path).parts)
            )
        elif path.is_file():
            yield path
        else:
            raise CommandError(f"There is no file {shown(path)}.", returncode=USAGE)


def judge_all(files: list[Path], profile: preflight.Profile) -> Iterator[Judged]:
    """Each file in order; as many at a time as there are cores."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        yield from pool.map(partial(judge_one, profile=profile), files)


def judge_one(path: Path, *, profile: preflight.Profile) -> Judged:
    """With previews: from them it is seen what is blank."""
    try:
        with TemporaryDirectory(prefix="preflight-") as folder:
            named = path if is_text(str(path.resolve())) else Path(copyfile(path, Path(folder) / "file"))
            facts = preflight.inspect(named, previews=Path(folder))
    except OSError as error:
        unread = Problem(
            "FILE_UNREADABLE", f"The file cannot be read: {error.strerror}.", hint="Check who may read it."
        )
        return Judged(path, "unknown", 0, [unread])
    return Judged(path, facts["format"], facts["page_count"], preflight.judge(facts, profile, name=path.name))


def watched(found: Iterable[Judged], *, total: int) -> Iterator[Judged]:
    """Pass them on; with a count on a terminal while there are several."""
    counts = total > 1 and sys.stderr.isatty()
    for number, each in enumerate(found, 1):
        if counts:
            print(CLEAR, end="", file=sys.stderr, flush=True)
        yield each
        if counts and number < total:
            print(f"{number} of {total} …", end="", file=sys.stderr, flush=True)


def is_text(name: str) -> bool:
    """Whether a file's name is UTF-8: the libraries that read PDF take no other."""
    return not any("\ud800" <= letter <= "\udfff" for letter in name)


def shown(path: Path) -> str:
    """A file's name, whatever bytes it is made of."""
    return readable(os.fsencode(path).decode(errors="replace"))


def readable(text: str) -> str:
    """Without what would steer the terminal: names in files are written by strangers."""
    return "".join(letter if letter.isprintable() else "�" for letter in text)
