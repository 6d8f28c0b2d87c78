"""The reading process: `python -m intake.preflight.child`, started and asked by `pool`; see `lib.apart.process`."""

import resource
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from gelatoconnect.lib.apart.process import Work, serve
from intake.preflight.limits import CPU_SECONDS, MEMORY, OPEN_FILES, PREVIEW_BYTES, PREVIEW_SECONDS, REPORT_BYTES
from intake.preflight.previews import make_previews
from intake.preflight.reader import read_file

TIMEOUT = {"code": "SYS_TIMEOUT", "what": "reading took too long"}
WARMUP = Path(__file__).with_name("warmup.pdf")
OUT_OF_MEMORY = {"code": "SYS_MEMORY", "what": "reading took too much memory"}
TOO_LONG = {"code": "SYS_LIMIT", "what": "there is too much to say"}
CRASHED = {"code": "SYS_CRASH", "what": "the reader crashed"}


def main() -> None:
    work = Work(
        do=read, warm_up=lambda: read_file(WARMUP), memory=MEMORY, cpu_seconds=CPU_SECONDS, answer_bytes=REPORT_BYTES,
        timeout=TIMEOUT, too_long=TOO_LONG, crashed=CRASHED, parts=2, rest_seconds=PREVIEW_SECONDS,
        file_bytes=PREVIEW_BYTES, open_files=OPEN_FILES,
    )  # fmt: skip
    serve(work)


def read(question: dict[str, Any]) -> Iterator[Any]:
    """The facts, then what was made of them."""
    path, into, rest = Path(question["path"]), question["previews"], {}
    facts = _facts_of(path)
    yield facts  # at once: making previews may be the end of this process
    if into and facts.get("state") == "read":
        resource.setrlimit(resource.RLIMIT_FSIZE, (PREVIEW_BYTES, PREVIEW_BYTES))
        rest["previews"] = make_previews(path, facts, into=Path(into))
    yield rest | {"peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss}


def _facts_of(path: Path) -> Any:
    try:
        return read_file(path)
    except MemoryError:
        return OUT_OF_MEMORY
    except Exception as error:
        return CRASHED | {"what": f"the reader failed ({type(error).__name__})"}


if __name__ == "__main__":
    main()
