"""`python -m bench.faults`: make the faults, read the history afterwards, print the report; 1 when a mark is missed.

chaos   orders while processes are killed and frozen, the broker killed and flushed, the database restarted
broker  orders while the broker is off, then frozen
points  the process killed after each commit and around each effect
"""

import argparse
import json
import signal
import sys
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic

from bench.faults import broker, chaos, points
from bench.faults.nemesis import Faults
from bench.report import Table, machine

DATABASES = ("sqlite", "postgresql")


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m bench.faults", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("chaos", "broker", "points"):
        command = commands.add_parser(name)
        command.add_argument("--database", choices=DATABASES, help="only on this one; both, if not said")
        command.add_argument("--json", type=Path, metavar="FILE", help="keep the figures here as well")
    storm = commands.choices["chaos"]
    storm.add_argument("--minutes", type=float, default=3, metavar="N", help="how long the faults go on (3)")
    storm.add_argument("--rate", type=float, default=20, metavar="N", help="orders a second (20)")
    storm.add_argument(
        "--share",
        type=float,
        default=0.1,
        metavar="N",
        help="of the orders that are told by webhook and go on to Shipped; the others stay created (0.1)",
    )
    storm.add_argument("--scale", type=float, default=1, metavar="N", help="of the faults: 0.1 is a tenth of them (1)")
    storm.add_argument("--seed", type=int, default=1, metavar="N", help="the same plan of faults again (1)")
    away = commands.choices["broker"]
    away.add_argument(
        "--minutes", type=float, default=10, metavar="N", help="for which it is off, and then frozen (10)"
    )
    away.add_argument("--rate", type=float, default=5, metavar="N", help="orders a second (5)")
    commands.choices["points"].add_argument(
        "--times", type=int, default=20, metavar="N", help="deaths at each place (20)"
    )
    asked = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # whoever stops it wants nothing of it left
    print(f"{machine()}, {datetime.now(UTC):%Y-%m-%d}", flush=True)
    databases = [asked.database] if asked.database else list(DATABASES)
    tables, good = {"chaos": storm_on, "broker": lose_broker, "points": die_at_points}[asked.command](databases, asked)
    print(*tables, sep="\n", flush=True)
    if asked.json:
        said = {"machine": machine(), "at": datetime.now(UTC).isoformat(), "good": good}
        asked.json.write_text(json.dumps(said | {asked.command: [table.as_dict() for table in tables]}, indent=1))
    sys.exit(0 if good else 1)


def storm_on(databases: list[str], asked: argparse.Namespace) -> tuple[list[Table], bool]:
    faults = Faults(*(round(count * asked.scale) for count in (50, 10, 10, 5, 5)))
    wanted = chaos.Asked(asked.minutes, asked.rate, asked.share, faults, asked.seed)
    runs = [chaos.run(database, wanted) for database in databases]
    return [chaos.table(runs, wanted)], all(run.is_good for run in runs)


def lose_broker(databases: list[str], asked: argparse.Namespace) -> tuple[list[Table], bool]:
    found = [(database, broker.run(database, minutes=asked.minutes, rate=asked.rate)) for database in databases]
    good = all(state.is_good for _, states in found for state in states)
    return [broker.table(database, states, minutes=asked.minutes, rate=asked.rate) for database, states in found], good


def die_at_points(databases: list[str], asked: argparse.Namespace) -> tuple[list[Table], bool]:
    tables, good = [], True
    for database in databases:
        started = monotonic()
        tried = points.measure(database, times=asked.times)
        tables.append(points.table(database, tried, seconds=monotonic() - started))
        good &= not any(each.wrong for each in tried)
    return tables, good


if __name__ == "__main__":
    main()
