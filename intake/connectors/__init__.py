"""The one list of connector types; everything else about them is derived from it."""

from intake.connectors.api import Api
from intake.connectors.base import ConnectorType

CONNECTOR_TYPES: dict[str, ConnectorType] = {kind.name: kind for kind in (Api(),)}
