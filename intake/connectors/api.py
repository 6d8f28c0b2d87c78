"""The project's own REST API: the submit body is the Draft."""

import json

from django.conf import settings

from gelatoconnect.lib import strict
from gelatoconnect.lib.problems import problem_body
from intake.connectors.base import ConnectorType, Outcome
from orders.drafts import Draft, read


class Api(ConnectorType):
    name = "api"
    label = "REST API"

    def parse(self, raw: bytes) -> Draft:
        return read(strict.loads(raw, max_bytes=settings.API_MAX_BYTES))

    def answer(self, outcome: Outcome) -> str:
        if outcome.order is None:
            return json.dumps(problem_body(outcome.problems, status=outcome.status))
        order = outcome.order
        return json.dumps(
            {"id": str(order.pk), "orderReferenceId": order.reference, "createdAt": order.created_at.isoformat()}
        )
