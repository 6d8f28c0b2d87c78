"""Addresses of other systems, as an administrator types them: secrets are sent there with every call."""

import re
from urllib.parse import urlsplit

from django.conf import settings

LOCAL = ("127.0.0.1", "localhost", "::1")


def base_address(value: str, *, like: str) -> str:
    """The address without the slash at its end. Raises ValueError unless it is one, and encrypted: https, except on this
    machine and where the operator allows it by name (FETCH_ALLOWED_HOSTS)."""
    value = value.strip().rstrip("/")
    if not re.fullmatch(r"https?://[^\s/?#@\\]+(/[^\s?#@\\]*)?", value):
        raise ValueError(f"Write it as {like}.")
    parts = urlsplit(value)
    if parts.scheme == "http" and parts.hostname not in LOCAL and parts.netloc not in settings.FETCH_ALLOWED_HOSTS:
        raise ValueError("Write it with https://: secrets are sent with every call.")
    return value
