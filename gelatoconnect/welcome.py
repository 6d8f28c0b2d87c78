"""What a newcomer is shown: the demo's logins and key, and a command that submits a first order."""

from django.conf import settings

PASSWORD = "gelato-demo"  # noqa: S105  # of every demo login; the demo refuses to run without DEBUG
KEY, SECRET = "demo", "demo"
LOGINS = {"admin": "Administrator", "manager": "Manager", "accountant": "Accountant", "packer": "Packaging user",
          "operator": "Print operator"}  # fmt: skip


def banner() -> str:
    """The text that `manage.py up` prints once everything runs."""
    if not settings.DEBUG:
        return f"\nGelatoConnect runs at {settings.PUBLIC_URL}\n"
    logins = "\n".join(f"    {name:<11} {PASSWORD}   {role}" for name, role in LOGINS.items())
    return f"""
GelatoConnect runs at {settings.PUBLIC_URL}   (API reference: {settings.PUBLIC_URL}/api/docs)

  Demo logins
{logins}

  Submit an order (its print file must be reachable; on this machine only what FETCH_ALLOWED_HOSTS names):

{curl()}

  A print file to try it with:  python3 -m http.server 9000 --bind 127.0.0.1 --directory {settings.DATA_DIR / "specimens"}
  {_allowed()}
"""


def curl() -> str:
    return f"""curl -sS {settings.PUBLIC_URL}/api/orders -H 'X-API-KEY: {KEY}:{SECRET}' \\
  -H 'Content-Type: application/json' -d '{{
  "orderReferenceId": "MY-FIRST-ORDER", "currency": "EUR", "shipmentMethodUid": "standard,express",
  "shippingAddress": {{"firstName": "Ana", "lastName": "Ruiz", "addressLine1": "Karl Johans gate 4", "city": "Oslo",
                      "postCode": "0154", "country": "NO", "email": "ana@example.com"}},
  "items": [{{"itemReferenceId": "1", "productUid": "card-a6", "quantity": 2,
             "files": [{{"type": "default", "url": "'"${{FILE_URL:-http://localhost:9000/card-a6.pdf}}"'"}}]}}]
}}'"""


def _allowed() -> str:
    if settings.FETCH_ALLOWED_HOSTS:
        return f"Allowed on this machine: {', '.join(settings.FETCH_ALLOWED_HOSTS)}"
    return "and start with:               FETCH_ALLOWED_HOSTS=localhost:9000 make run"
