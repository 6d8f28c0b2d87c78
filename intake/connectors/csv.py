"""Orders that a person imports from a CSV or Excel file: each order of the file is one request, its rows as JSON."""

import json

from pydantic import Field

from gelatoconnect.lib.problems import problem_body
from intake.connectors.base import Config, ConnectorType, Message, Outcome, Submit
from intake.tables import order_of


class CsvConfig(Config):
    currency: str = Field("", title="Currency", max_length=3, description="Of orders whose rows name none, such as EUR")
    shipment_method: str = Field("", title="Shipment method", max_length=200,
                                 description="Of orders whose rows name none, such as standard,express")  # fmt: skip


class Csv(ConnectorType):
    name = "csv"
    label = "CSV and Excel files"
    about = "A person imports a file of orders in the browser."
    Config = CsvConfig
    keeps_refusals = True  # an import that goes on after it was cut off finds what it refused before

    def parse(self, message: Message) -> Submit:
        config = message.config or CsvConfig()
        defaults = {"currency": config.currency, "shipmentMethodUid": config.shipment_method}
        draft, notes = order_of(message.body, defaults=defaults)
        return Submit(draft, notes=tuple(notes))

    def answer(self, outcome: Outcome, message: Message) -> str:
        if outcome.order is None:
            return json.dumps(problem_body(outcome.problems, status=outcome.status) if outcome.problems else {})
        return json.dumps({"id": str(outcome.order.pk), "orderReferenceId": outcome.order.reference})
