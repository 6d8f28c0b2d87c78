"""Redbubble's fulfiller API, as far as it is public: orders are pushed with an Authorization value that the fulfiller chose.

The schema of its orders is not public. A starting template is given, which the printer completes by an order that came.
"""

import json
from typing import Any, ClassVar

from pydantic import Field, SecretStr

from intake.connectors.base import Call, Config
from intake.connectors.mapped import AuthConfig, Mapped, ReadingConfig, signed
from intake.connectors.mapped.postback import PostbackConfig
from intake.connectors.mapped.starters import REDBUBBLE


class AuthorizationConfig(Config):
    secret: SecretStr = Field(
        min_length=1, title="Authorization value", description="Exactly as it stands in the Foundry portal, all of it"
    )

    def as_auth(self) -> AuthConfig:
        return AuthConfig(auth="header", header="Authorization", secret=self.secret)


class RedbubbleConfig(PostbackConfig, ReadingConfig, AuthorizationConfig):
    pass


class Redbubble(Mapped):
    name = "redbubble"
    label = "Redbubble"
    about = "Redbubble pushes orders; their fields are mapped by a template, since their schema is not public."
    Config: ClassVar[type[Config]] = RedbubbleConfig
    starter = REDBUBBLE

    def verify(self, call: Call, config: Any) -> None:
        super().verify(call, config.as_auth())

    def example(self, config: Any, *, number: int, sku: str, file_url: str) -> Call:
        """As the starting mapping reads it."""
        body = json.loads(self.starter.sample)
        body["order"]["id"] = f"RB-{number}"
        body["order"]["items"][0] |= {"product_info": {"sku": sku}, "file_url": file_url}
        call = Call(body=json.dumps(body).encode(), headers={"content-type": "application/json"})
        return signed(call, config.as_auth())

    def _shown(self, call: Call, config: Any) -> dict[str, str]:
        return {name: value for name, value in call.headers.items() if name != "authorization"}
