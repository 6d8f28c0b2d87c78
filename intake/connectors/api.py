"""The project's own REST API: the submit body is the Draft."""

import json

from django.conf import settings

from gelatoconnect.lib import strict
from gelatoconnect.lib.problems import problem_body
from intake.connectors.base import ConnectorType, Message, Outcome, Submit
from orders.drafts import read


class Api(ConnectorType):
    name = "api"
    label = "REST API"
    about = "The customer's own system calls /api/orders with a key."
    key_conflict = 422

    def parse(self, message: Message) -> Submit:
        return Submit(read(strict.loads(message.body, max_bytes=settings.API_MAX_BYTES)))

    def answer(self, outcome: Outcome, message: Message) -> str:
        if outcome.order is None:
            return json.dumps(problem_body(outcome.problems, status=outcome.status))
        order = outcome.order
        return json.dumps(
            {"id": str(order.pk), "orderReferenceId": order.reference, "createdAt": order.created_at.isoformat()}
        )
