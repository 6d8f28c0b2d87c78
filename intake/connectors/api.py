"""The project's own REST API: the submit body is the Draft."""

from typing import Any

from django.conf import settings

from gelatoconnect.lib import strict
from intake.connectors.base import ConnectorType, Outcome
from orders.drafts import Draft, read


class Api(ConnectorType):
    name = "api"
    label = "REST API"

    def parse(self, raw: bytes) -> Draft:
        return read(strict.loads(raw, max_bytes=settings.API_MAX_BYTES))

    def answer(self, outcome: Outcome) -> dict[str, Any]:
        if outcome.order is None:
            return {"errors": [problem.as_dict() for problem in outcome.problems]}
        order = outcome.order
        return {"id": str(order.pk), "orderReferenceId": order.reference, "createdAt": order.created_at.isoformat()}
