"""The one list of connector types; everything else about them is derived from it."""

import json
from typing import Any

from pydantic import ValidationError

from gelatoconnect.lib.problems import Problem, Rejected
from intake.connectors.api import Api
from intake.connectors.base import Config, ConnectorType
from intake.connectors.cloudprinter import Cloudprinter
from intake.connectors.csv import Csv
from intake.connectors.etsy import Etsy
from intake.connectors.folder import Folder
from intake.connectors.mapped import Mapped
from intake.connectors.redbubble import Redbubble
from intake.connectors.shopify import Shopify
from intake.connectors.siteflow import SiteFlow
from intake.connectors.woocommerce import WooCommerce
from intake.models import Connector

CONNECTOR_TYPES: dict[str, ConnectorType] = {
    kind.name: kind
    for kind in (
        Api(), Csv(), Folder(), Shopify(), WooCommerce(), Etsy(), Cloudprinter(), SiteFlow(), Mapped(), Redbubble(),
    )
}  # fmt: skip


def kind_of(connector: Connector) -> ConnectorType:
    return CONNECTOR_TYPES[connector.type]


def config_of(connector: Connector) -> Config:
    """The connector's settings. Raises Rejected (503) when they are not complete: it is ours to mend, not the sender's."""
    try:
        return kind_of(connector).Config.model_validate_json(connector.settings or "{}")
    except ValidationError as error:
        wrong = ", ".join(str(each["loc"][0]) for each in error.errors() if each["loc"])
        problem = Problem("CONNECTOR_SETTINGS", f"The settings of the connector {connector.name} are not complete: {wrong}.",
                          hint="Fill them in at Settings → Connectors.")  # fmt: skip
        raise Rejected([problem], status=503) from None


def memory_of(connector: Connector) -> dict[str, Any]:
    return json.loads(connector.memory or "{}")
