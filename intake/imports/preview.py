"""What would become of each order of an import, before anything is made; and what became of it, row by row.

The dry way is the pipeline's own: the connector's `parse`, `acts.prepare`, the business rules. What these look up is
looked up once for all orders.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any
from uuid import UUID

from gelatoconnect.lib import storage
from gelatoconnect.lib.lists import safe_cell
from gelatoconnect.lib.problems import Problem, Rejected, errors
from intake.acts import prepare
from intake.checks import address_problems, check_rules
from intake.checks.references import Catalogue, catalogue_of
from intake.connectors import config_of, kind_of
from intake.connectors.base import Incoming, Message, Submit
from intake.models import Import, OrderRequest
from intake.records import receive
from intake.tables import TAKE_OUT, Entry, value_at
from orders.drafts import Address, read
from orders.models import Customer, Order, ShipmentMethod

LOOKED_AT_ONCE = 500  # orders that a person waits for; more are looked at by a worker
TOLD_EVERY = 250
BATCH = 500
# What would become of an order: "failing" is made, and then fails its checks.
RESULTS = ("fine", "warning", "failing", "refused", "known")


def look(found: Import, entries: Sequence[Entry], *,
         tell: Callable[[int], object] = lambda count: None) -> dict[str, Any]:  # fmt: skip
    """How many orders would be fine, refused … (by RESULTS), and the sha256 of the details, which are kept as JSON."""
    connector = found.connector
    kind, config = kind_of(connector), config_of(connector)
    asked: list[tuple[Entry, Submit | None, list[Problem]]] = []
    for entry in entries:
        try:
            meaning = kind.parse(Message(entry.body, config=config))
            asked.append((entry, meaning if isinstance(meaning, Submit) else None, []))
        except Rejected as refusal:
            asked.append((entry, None, [*refusal.problems, *_also(entry, refusal.problems)]))
    known = known_references(found.customer, [entry.reference for entry in entries])
    catalogue = catalogue_of(
        (item for _, meaning, _ in asked if meaning for item in meaning.draft.items), found.customer
    )
    methods = {method.uid: method for method in ShipmentMethod.objects.filter(active=True)}
    columns = found.report["columns"]
    counts: Counter[str] = Counter()
    said = []
    for number, (entry, submit, problems) in enumerate(asked, 1):
        result, problems = _judged(found, entry, submit, problems, catalogue=catalogue, methods=methods, known=known)
        counts[result] += 1
        said.append(_shown(entry, result, problems, columns))
        if not number % TOLD_EVERY:
            tell(number)
    return {"counts": {name: counts[name] for name in RESULTS},
            "preview": storage.keep_bytes(json.dumps(said, ensure_ascii=False).encode())}  # fmt: skip


def _also(entry: Entry, problems: Iterable[Problem]) -> Iterator[Problem]:
    """What is wrong with the address of an order whose form is wrong elsewhere: it is all mended in one go."""
    told = {problem.path for problem in problems}
    try:
        address: Address = read(entry.data["shippingAddress"], Address)
    except Rejected:
        return
    yield from (problem for problem in address_problems(address) if problem.path not in told)


def _judged(found: Import, entry: Entry, asked: Submit | None, problems: list[Problem], *, catalogue: Catalogue,
            methods: Mapping[str, ShipmentMethod], known: Mapping[str, UUID]) -> tuple[str, list[Problem]]:  # fmt: skip
    if entry.reference in known:
        once = found.connector.prevent_duplicates or (asked is not None and asked.draft.prevent_duplicate)
        will = "It is left out." if once else "It is made a second time."
        again = Problem("ORDER_DUPLICATE", f"There is an order {entry.reference!r} of this customer already. {will}",
                        "/orderReferenceId", "warning", "Give it another reference if it is another order.")  # fmt: skip
        if once:
            return "known", [again]
        problems = [*problems, again]
    if asked is None:
        return "refused", problems
    try:
        request = receive(Incoming(entry.body), connector=found.connector)
        case, seen = prepare(request, asked, known=catalogue)
    except Rejected as refusal:
        return "refused", [*problems, *refusal.problems]
    ruled = list(check_rules(replace(case, methods=methods)))
    problems = [*problems, *seen, *ruled]
    return "failing" if errors(ruled) else "warning" if problems else "fine", problems


def known_references(customer: Customer, references: Iterable[str]) -> dict[str, UUID]:
    """Those of them that the customer's orders have already, with the first order of each."""
    found: dict[str, UUID] = {}
    rest = iter({text for text in references if text and "\0" not in text})
    while some := list(islice(rest, BATCH)):
        orders = Order.objects.filter(customer=customer, reference__in=some).order_by("-id")
        found.update(orders.values_list("reference", "pk"))
    return found


# --- where in the file a problem is -----------------------------------------------------------------
def _shown(
    entry: Entry, result: str, problems: Iterable[Problem], columns: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """An order as the preview's page shows it."""
    address, items = entry.data["shippingAddress"], entry.data["items"]
    person = " ".join(filter(None, (address.get("firstName"), address.get("lastName")))) or address.get(
        "companyName", ""
    )
    products = [item.get("productUid") or item.get("sku") or item.get("productName") or "" for item in items[:3]]
    return {
        "reference": entry.reference[:120], "lines": entry.lines, "recipient": person[:100], "result": result,
        "country": address.get("country", "")[:60], "items": len(items), "products": [each[:80] for each in products],
        "problems": sorted((located(each.as_dict(), entry, columns) for each in problems), key=_seriousness),
    }  # fmt: skip


def _seriousness(said: Mapping[str, Any]) -> tuple[int, int]:
    return ("error", "warning", "info").index(said["severity"]), said["line"]


def located(problem: Mapping[str, Any], entry: Entry, columns: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """A problem with the line, the column and the value in the file that it speaks of."""
    details, path = problem.get("details") or {}, problem.get("path", "")
    steps = path.split("/")[1:]
    item = int(steps[1]) if len(steps) > 1 and steps[0] == "items" and steps[1].isdigit() else None
    line = entry.lines[item] if item is not None and item < len(entry.lines) else entry.lines[0]
    value = details.get("value", value_at(entry.data, path) if path else "")
    column = details.get("column") or _column(steps, entry, columns)
    missing = problem["code"] == "FIELD_MISSING" and column
    return {
        "line": details.get("line", line), "whole": item is None and "line" not in details, "column": column,
        "value": value[:200] if isinstance(value, str) else "", "code": problem["code"], "severity": problem["severity"],
        "message": f"{column} is missing." if missing else problem["message"],
        "hint": problem.get("hint", "").removesuffix(TAKE_OUT).strip(),
    }  # fmt: skip


def _column(steps: Sequence[str], entry: Entry, columns: Sequence[Mapping[str, Any]]) -> str:
    """The file's own name for it, or ours when the file has no such column."""
    if not steps:
        return ""
    place, key = (
        {"shippingAddress": "address", "items": "item", "metadata": "metadata"}.get(steps[0], "order"),
        steps[-1],
    )
    if place == "item" and len(steps) > 4 and steps[2] == "files":
        file = value_at(entry.data, "/" + "/".join(steps[:4]))
        place, key = "file", file.get("type", "default") if isinstance(file, dict) else "default"
        return next(
            (each["name"] for each in columns if each["place"] == "file" and each["key"] in (key, "default")), "fileUrl"
        )
    return next((str(each["name"]) for each in columns if each["place"] == place and each["key"] == key),
                "" if key == "items" or key.isdigit() else key)  # fmt: skip


# --- what became of every row -----------------------------------------------------------------------
RESULT_OF = {"rejected": "refused", "ignored": "ignored", "received": "waiting", "accepted": "accepted"}
HEADING = ("row", "orderReferenceId", "itemReferenceId", "result", "orderId", "orderStatus", "problems")


def result_rows(found: Import, entries: Sequence[Entry], keys: Sequence[str], *,
                requests: Mapping[str, OrderRequest]) -> Iterator[list[str]]:  # fmt: skip
    """A row for each row of the file: what became of its order, by now; every cell safe for a spreadsheet.

    requests: those of the import, by key; keys: of the entries, in order.
    """
    yield list(HEADING)
    known: dict[str, UUID] = {}
    if found.state in (Import.State.RUNNING, Import.State.DONE, Import.State.FAILED):
        known = known_references(found.customer, (each.reference for each, key in zip(entries, keys, strict=True)
                                                  if key not in requests))  # fmt: skip
    for entry, key in zip(entries, keys, strict=True):
        request = requests.get(key)
        order = request.order if request else None
        result = (
            ("imported" if order else RESULT_OF[request.state])
            if request
            else "known"
            if entry.reference in known
            else "not imported"
        )
        id = order.pk if order else known.get(entry.reference, "")
        seen = [located(each, entry, found.report["columns"]) for each in (request.problems if request else [])]
        seen += [located(each, entry, found.report["columns"]) for each in (order.problems if order else [])]
        for place, line in enumerate(entry.lines):
            said = [f"{each['code']}: {each['message']}" for each in seen if each["whole"] or each["line"] == line]
            item = entry.data["items"][place].get("itemReferenceId", "")
            cells = (
                line,
                entry.reference,
                item,
                result,
                id,
                order.status if order else "",
                " | ".join(dict.fromkeys(said)),
            )
            yield [safe_cell(cell) for cell in cells]
