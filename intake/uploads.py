"""Print files that their senders upload after the order: an address for each, signed, and the way on once all are there.

The address says which file it is for and until when it holds; whoever knows it may put the file there, once or again.
"""

import hashlib
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from uuid import UUID

from django.conf import settings
from django.core.signing import BadSignature, SignatureExpired, TimestampSigner
from django.http import HttpRequest, HttpResponse, JsonResponse, UnreadablePostError
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt

from gelatoconnect.lib import storage
from gelatoconnect.lib.problems import Problem, Rejected, problem_body
from intake.models import Connector
from orders.drafts import is_handed_over, pointer
from orders.events import Conclusion, TryLater, emit, hasten
from orders.lifecycle import Status
from orders.models import Event, Order, PrintFile
from orders.services import changing, move

MAX_AGE = 7 * 24 * 3600  # seconds that an address holds
PIECE = 256 * 1024
OPEN = (Status.RECEIVED, Status.FAILED)
MISSING = "FILE_UPLOAD_MISSING"
_signer = partial(TimestampSigner, salt="intake.uploads", sep=".")


@dataclass(frozen=True, slots=True)
class Uploaded:
    """A file that arrived whole, not yet in its place. size in bytes."""

    path: Path
    size: int
    sha256: str


def address_of(file: PrintFile, connector: UUID) -> str:
    """Where the content of this file may be put, for MAX_AGE from now on."""
    return f"{settings.PUBLIC_URL}/in/{connector}/files/{_signer().sign(file.pk.hex)}"


@csrf_exempt
def upload(request: HttpRequest, connector: UUID, token: str) -> HttpResponse:
    """The raw file, by PUT or POST; read piece by piece, whatever its size. Errors are application/problem+json."""
    if request.method not in ("PUT", "POST"):
        return HttpResponse(status=405, headers={"Allow": "PUT, POST"})
    try:
        found = Connector.objects.filter(pk=connector, active=True).first()
        file = _file_of(token, connector)
        if found is None or file is None:
            raise _refused("UPLOAD_FORBIDDEN", "This address is not for any file.", status=403)
        _refuse_unless_open(file.item.order)
        if not is_handed_over(file.url):
            raise _refused("UPLOAD_NOT_AWAITED", "The file has an address of its own by now.", status=409)
        arrived = _receive(request)
        _keep(file, arrived, by=f"connector:{found.name}")
    except Rejected as refusal:
        body = problem_body(refusal.problems, status=refusal.status)
        return JsonResponse(body, status=refusal.status, content_type="application/problem+json")
    return JsonResponse({"success": True, "size": arrived.size, "sha256": arrived.sha256})


def wake(order: Order, event: Event) -> Conclusion | None:
    """What follows an upload, once every awaited file is there: the waiting check runs at once, a failed order again.

    Raises TryLater while a check is at work that may not have seen the file.
    """
    if any(not file.sha256 for file in awaited(order)):
        return None
    if order.status == Status.FAILED and _failed_for(order, event.data.get("path", "")):
        return partial(move, order, Order.retry, by=event.by)
    if order.status == Status.RECEIVED and not hasten(order, "check"):
        raise TryLater("The check of the order is at work.")
    return None


def awaited(order: Order) -> Iterator[PrintFile]:
    """The files of the order that are handed over rather than fetched."""
    return (file for file in PrintFile.objects.filter(item__order=order) if is_handed_over(file.url))


def _failed_for(order: Order, path: str) -> bool:
    """Whether it failed for want of a file, or because of what was at this place before."""
    return any(problem["severity"] == "error" and (problem["code"] == MISSING or problem["path"] == path)
               for problem in order.problems)  # fmt: skip


def _file_of(token: str, connector: UUID) -> PrintFile | None:
    """The file that the address was made for, when it belongs to an order of this connector. Raises Rejected."""
    try:
        id = UUID(_signer().unsign(token, max_age=MAX_AGE))
    except SignatureExpired:
        raise _refused("UPLOAD_EXPIRED", "This address has expired.", status=403,
                       hint="Ask for the order's files again: their addresses are new.") from None  # fmt: skip
    except BadSignature:
        return None
    files = PrintFile.objects.select_related("item__order")
    return files.filter(pk=id, item__order__connector=connector).first()


def _refuse_unless_open(order: Order) -> None:
    if order.status not in OPEN:
        raise _refused("ORDER_STATUS_CONFLICT", f"The order is {order.get_status_display()}: its files are fixed.",
                       status=409, hint="Files can be replaced until the order has passed its checks.")  # fmt: skip


def _receive(request: HttpRequest) -> Uploaded:
    """The body in a file of its own, hashed on the way. Raises Rejected, and then nothing is kept."""
    announced = _announced(request)
    sha256, size = hashlib.sha256(), 0
    with tempfile.NamedTemporaryFile(dir=storage.incoming_dir(), prefix="upload-", delete=False) as target:
        path = Path(target.name)
        try:
            while piece := request.read(PIECE):
                size += len(piece)
                sha256.update(piece)
                target.write(piece)
            if size != announced:
                raise _cut_off()
            target.flush()
        except UnreadablePostError:
            path.unlink()
            raise _cut_off() from None
        except BaseException:
            path.unlink()
            raise
    return Uploaded(path, size, sha256.hexdigest())


def _announced(request: HttpRequest) -> int:
    """The size in bytes that the sender says; nothing of the body has been read. Raises Rejected."""
    if request.content_type == "multipart/form-data":
        raise _refused("UPLOAD_FORMAT", "This is a form; the file itself is wanted.", status=415,
                       hint="Send the file as the body, such as: curl -T card.pdf <address>.")  # fmt: skip
    said = request.META.get("CONTENT_LENGTH") or ""
    if not (said.isascii() and said.isdigit()):
        raise _refused("UPLOAD_LENGTH_MISSING", "The call does not say how long it is.", status=411,
                       hint="Send Content-Length, not chunks.")  # fmt: skip
    if int(said) > settings.FETCH_MAX_BYTES:
        most = f"The file is larger than {settings.FETCH_MAX_BYTES:,} bytes."
        raise _refused("FILE_TOO_LARGE", most, status=413, hint="Send a smaller file.")
    if not int(said):
        raise _refused("FILE_EMPTY", "The file is empty.", status=400, hint="Send the file as the body.")
    return int(said)


def _keep(file: PrintFile, arrived: Uploaded, *, by: str) -> None:
    """The content in its place, and the order told; what was known of an earlier content is forgotten."""
    try:
        order = file.item.order
        files = list(file.item.files.values_list("pk", flat=True))
        path = pointer("items", file.item.number - 1, "files", files.index(file.pk))
        with changing(order) as fresh:
            _refuse_unless_open(fresh)
            storage.keep(arrived.path, arrived.sha256)
            PrintFile.objects.filter(pk=file.pk).update(
                sha256=arrived.sha256, size=arrived.size, fetched_at=timezone.now(),
                mime_type="", page_count=None, previews=[],
            )  # fmt: skip
            changes = {f"file.{file.type}.{file.item_id}": [file.sha256[:12] or None, arrived.sha256[:12]]}
            emit(fresh, "order.file_uploaded", by=by, path=path, size=arrived.size, changes=changes)
    finally:
        arrived.path.unlink(missing_ok=True)


def _cut_off() -> Rejected:
    return _refused("UPLOAD_INCOMPLETE", "The upload broke off.", status=400, hint="Send the whole file again.")


def _refused(code: str, message: str, *, status: int, hint: str = "") -> Rejected:
    return Rejected([Problem(code, message, hint=hint)], status=status)
