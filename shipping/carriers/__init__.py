"""The carriers: the one list of them."""

from pydantic import ValidationError

from shipping.carriers.base import Carrier, Failed
from shipping.carriers.manual import Manual

CARRIERS: dict[str, type[Carrier]] = {carrier.name: carrier for carrier in (Manual,)}


def open_carrier(name: str, config: dict[str, object]) -> Carrier:
    """The carrier of that name under what the administrator filled in. Raises Failed when either is wrong."""
    known = CARRIERS.get(name)
    if known is None:
        raise Failed(f"There is no carrier {name!r}.", permanent=True)
    try:
        return known(known.Config.model_validate(config))
    except ValidationError as error:
        wrong = "; ".join(f"{fault['loc'][0]}: {fault['msg']}" for fault in error.errors())
        raise Failed(f"{known.label} is not set up. {wrong}", permanent=True) from None
