"""The API's ways in: submit an order (or try it dry), and change its shipment; and what is wrong with it."""

from typing import Any, cast

from django.conf import settings
from django.http import HttpResponse
from drf_spectacular.utils import OpenApiParameter, extend_schema
from pydantic import Field
from rest_framework.request import Request
from rest_framework.response import Response

from gelatoconnect.lib import strict
from gelatoconnect.lib.problems import Problem, Rejected, errors
from intake import pipeline
from intake.checks import address_problems
from intake.connectors.api import Api
from intake.connectors.base import Incoming
from intake.models import Connector
from intake.report_pdf import report_response
from intake.reports import Report, report_of
from orders import answers, drafts
from orders.api import ERRORS, OrderView
from orders.services import amend

MAX_KEY = 200


class Submit(OrderView):
    """Submit an order, or save a draft. Format, key and data are checked at once; files and business rules follow."""

    @extend_schema(
        operation_id="submitOrder",
        request=drafts.Draft,
        responses={201: answers.SubmitAnswer, **ERRORS},
        parameters=[
            OpenApiParameter("dryRun", bool, description="Answer with the problems only; store nothing"),
            OpenApiParameter("Idempotency-Key", str, OpenApiParameter.HEADER,
                             description="The same key and body again give the first answer again"),
            OpenApiParameter("Customer-Reference-ID", str, OpenApiParameter.HEADER,
                             description="Whose order it is, on a connector that is open to all customers"),
        ],
    )  # fmt: skip
    def post(self, request: Request, **_: Any) -> HttpResponse | Response:
        connector = cast(Connector, request.auth)
        if connector.type != Api.name:
            message = f"The key belongs to a connector of the type {connector.type}, which has an address of its own."
            raise Rejected([Problem("CONNECTOR_TYPE", message, hint="Use the key of an API connector.")], status=403)
        incoming = Incoming(
            body=strict.read_body(request, max_bytes=settings.API_MAX_BYTES),
            headers=dict(request.headers),
            content_type=request.content_type,
            key=request.headers.get("Idempotency-Key", ""),
            customer_reference=request.headers.get("Customer-Reference-ID", ""),
        )
        if len(incoming.key) > MAX_KEY:
            raise Rejected(
                [Problem("IDEMPOTENCY_KEY_TOO_LONG", f"Idempotency-Key is longer than {MAX_KEY} characters.")],
                status=400,
            )
        if request.query_params.get("dryRun", "").lower() in ("1", "true"):
            return self.dry_run(incoming)
        outcome = pipeline.take(incoming, connector=connector)
        kind = "application/problem+json" if outcome.problems else "application/json"
        headers = {"Idempotent-Replayed": "true"} if outcome.replayed else {}
        return HttpResponse(
            outcome.answer, status=200 if outcome.replayed else outcome.status, content_type=kind, headers=headers
        )

    def dry_run(self, incoming: Incoming) -> Response:
        """The problems a submission would have, as far as they can be known without its files; nothing is stored."""
        problems = pipeline.dry_run(incoming, connector=cast(Connector, self.request.auth))
        if errors(problems):
            raise Rejected(problems)
        return Response({"valid": True, "problems": [problem.as_dict() for problem in problems]})


class ShipmentChange(drafts.Part):
    """At least one of the two."""

    shipment_method_uid: drafts.Text | None = Field(None, max_length=200)
    shipping_address: drafts.Address | None = None


class Shipment(OrderView):
    """Change where the order goes, or how, until it is shipped."""

    @extend_schema(
        operation_id="updateShipment", request=ShipmentChange, responses={200: answers.OrderAnswer, **ERRORS}
    )
    def put(self, request: Request, ref: str, **_: Any) -> Response:
        order, asked = self.order(ref), drafts.read(request.data, ShipmentChange)
        changes: dict[str, Any] = {"shipment_method": asked.shipment_method_uid, "address": asked.shipping_address}
        changes = {name: value for name, value in changes.items() if value is not None}
        if not changes:
            raise Rejected(
                [Problem("SHIPMENT_EMPTY", "Nothing to update.", hint="Send shipmentMethodUid or shippingAddress.")]
            )
        if "updateShipment" not in answers.actions_of(order):
            raise Rejected(
                [
                    Problem(
                        "ORDER_STATUS_CONFLICT",
                        f"The order is {order.get_status_display()}: it is too late.",
                        hint="The shipment can be changed until the order is shipped.",
                    )
                ],
                status=409,
            )
        if (
            asked.shipping_address is not None
            and (found := list(address_problems(asked.shipping_address)))
            and errors(found)
        ):
            raise Rejected(found)
        return Response(answers.order_of(amend(order, by=self.sender.by, **changes)).json_data())


class ProblemReport(OrderView):
    """What is wrong with the order and how to mend it, with the places on the pages."""

    @extend_schema(operation_id="getProblemReport", responses={200: Report, **ERRORS})
    def get(self, request: Request, ref: str, **_: Any) -> Response:
        return Response(report_of(self.order(ref)).json_data())


class ProblemReportPdf(OrderView):
    """The same, on paper."""

    @extend_schema(operation_id="getProblemReportPdf", responses={(200, "application/pdf"): bytes, **ERRORS})
    def get(self, request: Request, ref: str, **_: Any) -> HttpResponse:
        return report_response(self.order(ref))

    def perform_content_negotiation(self, request: Request, force: bool = False) -> Any:
        """Whoever asks for the PDF, gets it, whatever they say to accept; errors are JSON."""
        return super().perform_content_negotiation(request, force=True)
