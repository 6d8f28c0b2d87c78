"""Secrets at rest: encrypted columns (Fernet), hashed API keys, constant-time comparison."""

import base64
import hashlib
import hmac
import secrets
from typing import Any

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings
from django.db import models


def _cipher() -> MultiFernet:
    keys = [base64.urlsafe_b64encode(hashlib.sha256(key.encode()).digest()) for key in settings.ENCRYPTION_KEYS]
    return MultiFernet([Fernet(key) for key in keys])


class EncryptedField(models.TextField):
    """A text that the database holds encrypted with the first of ENCRYPTION_KEYS; unreadable with none of them: empty."""

    def get_prep_value(self, value: Any) -> str:
        return _cipher().encrypt(value.encode()).decode() if value else ""

    def from_db_value(self, value: str | None, *_: object) -> str:
        if not value:
            return ""
        try:
            return _cipher().decrypt(value.encode()).decode()
        except InvalidToken:
            return ""


def hashed(secret: str) -> str:
    """What is stored of an API secret: sha256, enough for 256 random bits."""
    return hashlib.sha256(secret.encode()).hexdigest()


def same(a: str, b: str) -> bool:
    return hmac.compare_digest(a.encode(), b.encode())


def new_secret(length: int = 32) -> str:
    return secrets.token_urlsafe(length)


def new_signing_secret() -> str:
    """A webhook secret as Standard Webhooks 1.0 writes it: "whsec_" and 32 random bytes in base64."""
    return "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()
