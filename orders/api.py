"""The order API: get, search, cancel, history, actions, submit a draft, retry; and the catalogue.

`{ref}` is the order's id or the sender's orderReferenceId. Each view has two paths (see gelatoconnect/urls.py): the
short one, and the one that names the connector, as clients of GelatoConnect send it.
"""

from typing import Any, cast
from uuid import UUID

from django.db.models import QuerySet
from django.http import FileResponse, Http404, QueryDict
from drf_spectacular.utils import extend_schema
from pydantic import Field
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from gelatoconnect.lib import lists, storage
from gelatoconnect.lib.ids import parse_id
from gelatoconnect.lib.problems import Problem, Rejected
from orders import answers, drafts
from orders.access import Sender
from orders.drafts import pointer
from orders.filters import OrderFilter
from orders.lifecycle import STEPS
from orders.models import Order, PrintFile, Product
from orders.services import amend, move

ERRORS = dict.fromkeys((400, 401, 404, 409, 422, 429), answers.ErrorAnswer)


def unknown(code: str, message: str) -> Rejected:
    """404: what belongs to another does not exist for this key."""
    return Rejected([Problem(code, message, hint="Check the id, and that the key belongs to it.")], status=404)


class OrderView(APIView):
    """A view of one order, or of all, that the sender may know of; the rest does not exist for it."""

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        if kwargs.get("connector") not in (None, self.sender.connector):
            raise unknown("CONNECTOR_UNKNOWN", "There is no such connector for this key.")

    @property
    def sender(self) -> Sender:
        return cast(Sender, self.request.user)

    def orders(self) -> QuerySet[Order]:
        return self.sender.orders().select_related("customer", "address")

    def order(self, ref: str) -> Order:
        """By id, or the latest with that orderReferenceId. Raises Rejected (404)."""
        id = parse_id(ref)
        found = self.orders().filter(pk=id).first() if id else None
        if found is None and "\0" not in ref:  # PostgreSQL keeps no NUL, and may not be asked for one
            found = self.orders().filter(reference=ref).order_by("-id").first()
        if found is None:
            raise unknown("ORDER_UNKNOWN", f"There is no order {ref[:120]!r} for this key.")
        return found


class Reason(drafts.Part):
    reason: drafts.Text = Field("", max_length=300)


class CanceledItem(drafts.Part):
    """Part of an order: pieces of one item, named by its id or itemReferenceId."""

    id: drafts.Text = Field("", max_length=120)
    item_reference_id: drafts.Text = Field("", max_length=120)
    quantity: int = Field(ge=1, le=drafts.MAX_QUANTITY)


class Cancellation(Reason):
    """Without items the whole order is canceled."""

    items: list[CanceledItem] = []


class Search(drafts.Part):
    """Every field narrows the search. search: recipient's name, e-mail or reference; dates as YYYY-MM-DD."""

    ids: list[str] = []
    order_reference_id: drafts.Text = Field("", max_length=120)
    order_reference_ids: list[str] = []
    order_types: list[str] = []
    connectors: list[str] = []
    customers: list[str] = []
    countries: list[str] = []
    currencies: list[str] = []
    channels: list[str] = []
    fulfillment_statuses: list[str] = []
    financial_statuses: list[str] = []
    search: drafts.Text = Field("", max_length=200)
    start_date: drafts.Text = Field("", max_length=40)
    end_date: drafts.Text = Field("", max_length=40)
    limit: int = Field(50, ge=1, le=100)
    cursor: drafts.Text = Field("", max_length=60)


# The search's words → the filter's.
_FILTERS = {
    "ids": "id",
    "order_reference_ids": "reference",
    "order_reference_id": "reference",
    "order_types": "order_type",
    "connectors": "connector",
    "customers": "customer",
    "countries": "country",
    "currencies": "currency",
    "channels": "channel",
    "fulfillment_statuses": "status",
    "financial_statuses": "financial_status",
    "search": "q",
    "start_date": "since",
    "end_date": "until",
}
_LISTS = ("status", "customer")  # given one by one; the others take a comma list


class OrderGet(OrderView):
    @extend_schema(operation_id="getOrder", responses={200: answers.OrderAnswer, **ERRORS})
    def get(self, request: Request, ref: str, **_: Any) -> Response:
        return Response(answers.order_of(self.order(ref)).json_data())


class OrderSearch(OrderView):
    @extend_schema(operation_id="searchOrders", request=Search, responses={200: answers.SearchAnswer, **ERRORS})
    def post(self, request: Request, **_: Any) -> Response:
        return self.answer(drafts.read(request.data, Search))

    def answer(self, asked: Search) -> Response:
        chosen = OrderFilter(_filter_data(asked), queryset=self.orders())
        if not chosen.is_valid():
            raise Rejected(
                Problem(
                    "SEARCH_VALUE",
                    str(messages[0]),
                    pointer(_asked_as(name)),
                    hint="Send one of the values that exist.",
                )
                for name, messages in chosen.errors.items()
            )
        page = lists.page(chosen.qs, cursor=asked.cursor, limit=asked.limit)
        rows = [answers.SummaryAnswer(**answers.summary_of(order)) for order in page.rows]
        return Response(answers.SearchAnswer(orders=rows, next_cursor=page.next or None).json_data())


class OrderCancel(OrderView):
    @extend_schema(operation_id="cancelOrder", request=Cancellation, responses={200: dict, **ERRORS})
    def post(self, request: Request, ref: str, **_: Any) -> Response:
        order = self.order(ref)
        asked = drafts.read(request.data or {}, Cancellation)
        if asked.items:
            order = amend(order, by=self.sender.by, reason=asked.reason, cancel=_pieces(order, asked.items))
        if not asked.items or not any(item.quantity_due for item in order.items.all()):
            move(order, Order.cancel, by=self.sender.by, reason=asked.reason)
        return Response({"code": 200, "message": "OK"})


class OrderHistory(OrderView):
    @extend_schema(operation_id="getHistory", responses={200: answers.HistoryAnswer, **ERRORS})
    def get(self, request: Request, ref: str, **_: Any) -> Response:
        return Response(answers.history_of(self.order(ref)).json_data())


class OrderActions(OrderView):
    @extend_schema(operation_id="getActions", responses={200: dict, **ERRORS})
    def get(self, request: Request, ref: str, **_: Any) -> Response:
        return Response({"actions": answers.actions_of(self.order(ref))})


class OrderMove(OrderView):
    """Submit a draft, or retry a failed order: the lifecycle's own steps."""

    @extend_schema(operation_id="moveOrder", request=Reason, responses={200: answers.OrderAnswer, **ERRORS})
    def post(self, request: Request, ref: str, verb: str, **_: Any) -> Response:
        order = self.order(ref)
        if verb not in STEPS or not STEPS[verb].api:
            raise Http404
        order = move(order, verb, by=self.sender.by)
        return Response(answers.order_of(order).json_data())


class Preview(OrderView):
    @extend_schema(operation_id="getPreview", responses={(200, "image/jpeg"): bytes})
    def get(self, request: Request, ref: str, file: UUID, page: int) -> FileResponse:
        return preview_response(PrintFile.objects.filter(item__order=self.order(ref), pk=file).first(), page=page)


class ProductList(APIView):
    @extend_schema(operation_id="listProducts", responses={200: answers.ProductsAnswer})
    def get(self, request: Request) -> Response:
        found = [answers.product_of(product) for product in Product.objects.order_by("uid")]
        return Response(answers.ProductsAnswer(products=found).json_data())


class Nowhere(APIView):
    """Any other address below /api: 404 in the API's own shape, whoever asks and by whatever method."""

    authentication_classes: list[type] = []
    permission_classes: list[type] = []
    throttle_classes: list[type] = []
    schema = None

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        raise Http404


def preview_response(file: PrintFile | None, *, page: int) -> FileResponse:
    """A preview that preflight made, and nothing else, with its own type. Raises Http404."""
    path = storage.previews_of(file.sha256) / f"page-{page}.jpg" if file and file.sha256 else None
    if path is None or not path.exists():
        raise Http404
    response = FileResponse(path.open("rb"), content_type="image/jpeg")
    response["X-Content-Type-Options"], response["Cache-Control"] = "nosniff", "private, max-age=3600"
    return response


def _filter_data(asked: Search) -> QueryDict:
    data = QueryDict(mutable=True)
    for name, key in _FILTERS.items():
        value = getattr(asked, name)
        values = [str(each) for each in value] if isinstance(value, list) else [value] if value else []
        if key in ("since", "until"):
            values = [each[:10] for each in values]
        if values:
            data.setlist(key, values if key in _LISTS else [",".join(values)])
    return data


def _asked_as(key: str) -> str:
    field = next(name for name, filter in _FILTERS.items() if filter == key)
    return Search.model_fields[field].alias or field


def _pieces(order: Order, asked: list[CanceledItem]) -> dict[UUID, int]:
    """Which pieces of which item are meant. Raises Rejected for an item that is not in the order or is packed already."""
    items = list(order.items.all())
    pieces, problems = {}, []
    for place, each in enumerate(asked):
        path = pointer("items", place)
        found = next(
            (item for item in items if each.id == str(item.pk) or each.item_reference_id == item.reference != ""), None
        )
        if found is None:
            problems.append(Problem("ITEM_UNKNOWN", "The order has no such item.", path, hint="Send the item's id."))
        elif each.quantity > found.quantity_due - found.packed:
            problems.append(
                Problem(
                    "ITEM_QUANTITY_RANGE",
                    f"{found.quantity_due - found.packed} pieces can still be canceled.",
                    path,
                    hint="Cancel no more than that.",
                )
            )
        else:
            pieces[found.pk] = each.quantity
    if problems:
        raise Rejected(problems, status=409)
    return pieces
