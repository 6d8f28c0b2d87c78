"""`python -m bench`: measure everything, or one part, on a place of its own; print it, and keep it as JSON if asked.

On SQLite, or on the PostgreSQL server that DATABASE_URL names. Each part runs in a process and a database of its own.
"""

import argparse
import json
import os
from datetime import UTC, datetime
from pathlib import Path

from bench.parts import PARTS, measure
from bench.report import Table, machine


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("part", nargs="*", choices=[*PARTS, []], help=f"what to measure: {', '.join(PARTS)}; or all")
    parser.add_argument("--orders", default="1000,100000,1000000", metavar="N,N,…", help="sizes for lists")
    parser.add_argument("--submissions", type=int, default=2_000, metavar="N", help="orders to send for submit")
    parser.add_argument("--json", type=Path, metavar="FILE", help="keep the figures here as well")
    asked = parser.parse_args()
    sizes = {"submit": [asked.submissions], "lists": map(int, asked.orders.split(","))}
    kind = "PostgreSQL" if os.environ.get("DATABASE_URL", "").startswith("postgres") else "SQLite"
    print(f"{kind}, {machine()}", flush=True)
    tables: dict[str, list[Table]] = {}
    for part in asked.part or PARTS:
        tables[part] = measure(part, *sizes.get(part, ()))
        print(*tables[part], sep="\n", flush=True)
    if asked.json:
        figures = {name: [table.as_dict() for table in found] for name, found in tables.items()}
        said = {"database": kind, "machine": machine(), "at": datetime.now(UTC).isoformat()}
        asked.json.write_text(json.dumps(said | figures, indent=1))


if __name__ == "__main__":
    main()
