"""What an administrator fills in for a folder."""

from typing import Any, Literal

from pydantic import Field, SecretStr, ValidationInfo, field_validator

from gelatoconnect.lib.places import Account, is_one_step
from intake.connectors.schedule import Scheduled

RESERVED = ("work", "processed", "failed", "out")


class FolderConfig(Scheduled):
    place: Literal["local", "ftp", "ftps", "sftp"] = Field(
        "local", title="Where", json_schema_extra={"labels": {"local": "On this machine", "ftp": "FTP (not encrypted)",
                                                              "ftps": "FTPS (explicit TLS)", "sftp": "SFTP"}})  # fmt: skip
    host: str = Field("", title="Host", validate_default=True, description="Not for a folder on this machine")
    port: int = Field(0, ge=0, le=65_535, title="Port", description="0: the usual one, 21 or 22")
    user: str = Field("", title="User")
    password: SecretStr = Field(SecretStr(""), title="Password")
    private_key: SecretStr = Field(SecretStr(""), title="Private key", json_schema_extra={"lines": 5},
                                   description="SFTP: instead of a password; OpenSSH or PEM")  # fmt: skip
    passphrase: SecretStr = Field(SecretStr(""), title="Passphrase of the key")
    host_key: str = Field("", title="Host key", description="SFTP: the server's, as ssh-ed25519 AAAA… or SHA256:…. "
                          "While it is empty nothing is sent; the error says which key the server shows.")  # fmt: skip
    certificate: str = Field("", title="Certificate", description="FTPS: the SHA-256 of the server's, when it is none that "
                             "browsers would trust")  # fmt: skip
    path: str = Field("", title="Folder", validate_default=True,
                      description="As the server names it; on this machine below FOLDERS_ROOT")  # fmt: skip
    inbox: str = Field(
        "in", title="Inbox", description="The folder in it where orders are laid; empty: the folder itself"
    )
    ready: Literal["stable", "rename", "marker"] = Field(
        "stable", title="A file is whole when", json_schema_extra={"labels": {
            "stable": "it has not changed for a while", "rename": "it has its last name (.part, .tmp and the like before)",
            "marker": "a marker lies beside it (name.done or name.ready)"}})  # fmt: skip
    stable_seconds: int = Field(
        60, ge=0, le=86_400, title="Unchanged for … seconds", description="Seen three times or more"
    )
    wait_minutes: int = Field(60, ge=0, le=10_080, title="Wait … minutes for print files",
                              description="Then the order is refused with the reason")  # fmt: skip
    keep_days: int = Field(90, ge=0, le=3_650, title="Keep files … days",
                           description="In processed and failed; 0: for ever")  # fmt: skip
    status_files: bool = Field(False, title="Status files", description="Lay a small JSON file into out/ when an order is "
                               "shipped, canceled or failed")  # fmt: skip
    currency: str = Field("", max_length=3, title="Currency", description="Of orders that name none, such as EUR")
    shipment_method: str = Field("", max_length=200, title="Shipment method", description="Of orders that name none")
    group_by: str = Field("", max_length=120, title="Column of the order's number",
                          description="Of tables that a mapping reads; empty: orderReferenceId, or each row")  # fmt: skip
    interval: float = Field(1, ge=0, le=10_080, title="Every … minutes", description="0: never; 0.5 is fine")  # type: ignore[assignment]

    @field_validator("host")
    @classmethod
    def _named(cls, value: str, info: ValidationInfo) -> str:
        if info.data.get("place") != "local" and not value.strip():
            raise ValueError("Name the host, such as sftp.example.com.")
        return value.strip()

    @field_validator("path")
    @classmethod
    def _inside(cls, value: str, info: ValidationInfo) -> str:
        path = value.strip()
        if info.data.get("place") == "local" and (not path.strip("/") or ".." in path.split("/") or "\\" in path):
            raise ValueError("Name a folder below FOLDERS_ROOT, such as acme.")
        return path

    @field_validator("inbox")
    @classmethod
    def _one_step(cls, value: str) -> str:
        name = value.strip().strip("/")
        if name and (not is_one_step(name) or name in RESERVED):
            raise ValueError(f"A single name, and none of {', '.join(RESERVED)}.")
        return name

    @property
    def account(self) -> Account:
        said: dict[str, Any] = {name: getattr(self, name) for name in Account.__slots__ if name != "kind"}
        plain: dict[str, Any] = {
            name: value.get_secret_value() if isinstance(value, SecretStr) else value for name, value in said.items()
        }
        return Account(kind=self.place, **plain)
