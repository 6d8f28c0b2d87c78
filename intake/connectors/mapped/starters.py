"""What a new mapping begins with: templates that work on their own sample, to be changed to what really comes."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Starter:
    submit: str
    sample: str
    cancel: str = ""
    answer: str = ""
    answer_type: str = "application/json"
    lookups: dict[str, dict[str, str]] = field(default_factory=dict)


CANCEL = """\
{
  "sourceId": {{ request.number | default("") | tojson }},
  "reason": {{ request.reason | default("") | tojson }}
}
"""

ANSWER = """\
{% if order %}
{"result": "ok", "id": {{ order.id | tojson }}, "number": {{ order.referenceId | tojson }}}
{% elif accepted %}
{"result": "ok"}
{% else %}
{"result": "error", "errors": [
  {% for problem in problems %}
  {"code": {{ problem.code | tojson }}, "message": {{ problem.message | tojson }}}{% if not loop.last %},{% endif %}

  {% endfor %}
]}
{% endif %}
"""

PLAIN = Starter(
    submit="""\
{% set to = request.ship_to %}
{% set name = (to.name | default("")).rsplit(" ", 1) %}
{
  "sourceId": {{ request.number | tojson }},
  "orderReferenceId": {{ request.number | tojson }},
  "test": {{ request.test | default(false) | tojson }},
  "currency": {{ request.currency | default("EUR") | tojson }},
  "shipmentMethodUid": {{ request.shipping | lookup("shipping", default="") | tojson }},
  "shippingAddress": {
    "firstName": {{ name[0] | tojson }},
    "lastName": {{ name[1] | default("") | tojson }},
    "companyName": {{ to.company | default("") | tojson }},
    "addressLine1": {{ to.street | default("") | tojson }},
    "addressLine2": {{ to.street2 | default("") | tojson }},
    "postCode": {{ to.zip | default("") | tojson }},
    "city": {{ to.city | default("") | tojson }},
    "state": {{ to.state | default("") | tojson }},
    "country": {{ to.country | default("") | tojson }},
    "email": {{ to.email | default("") | tojson }},
    "phone": {{ to.phone | default("") | tojson }}
  },
  "items": [
    {% for line in request.lines | many %}
    {
      "itemReferenceId": {{ line.line | default(loop.index) | tojson }},
      "sku": {{ line.article | tojson }},
      "quantity": {{ line.count | default(1) | tojson }},
      "retailPriceInclVat": {{ line.price | default(none) | tojson }},
      "files": [{% if line.file | default("") %}{"url": {{ line.file | tojson }}}{% endif %}]
    }{% if not loop.last %},{% endif %}

    {% endfor %}
  ]
}
""",
    cancel=CANCEL,
    answer=ANSWER,
    lookups={"shipping": {"STD": "normal", "EXP": "express"}},
    sample="""\
{
  "number": "W-1001",
  "currency": "EUR",
  "shipping": "STD",
  "ship_to": {
    "name": "Ana Ruiz", "street": "Karl Johans gate 4", "zip": "0154", "city": "Oslo", "country": "NO",
    "email": "ana@example.com", "phone": "+47 22 12 34 56"
  },
  "lines": [
    {"line": "1", "article": "card-a6", "count": 2, "price": "12.90", "file": "https://files.example/card.pdf"}
  ]
}
""",
)

# Only product_info is known of Redbubble's orders; every other name here is a place to put the real one.
REDBUBBLE = Starter(
    submit="""\
{# The names below are guesses, but for product_info: look at an order that came, and write what it really says. #}
{% set order = request.order | default(request) %}
{% set id = order.id | default(order.order_id) | default(order.reference) %}
{% set to = order.shipping_address | default(order.address) | default({}) %}
{
  "sourceId": {{ id | tojson }},
  "orderReferenceId": {{ id | tojson }},
  "shippingAddress": {
    "firstName": {{ to.first_name | default(to.name) | default("") | tojson }},
    "lastName": {{ to.last_name | default("") | tojson }},
    "addressLine1": {{ to.address1 | default(to.address_line_1) | default("") | tojson }},
    "addressLine2": {{ to.address2 | default(to.address_line_2) | default("") | tojson }},
    "postCode": {{ to.postcode | default(to.zip) | default("") | tojson }},
    "city": {{ to.city | default("") | tojson }},
    "state": {{ to.state | default("") | tojson }},
    "country": {{ to.country_code | default(to.country) | default("") | tojson }},
    "email": {{ to.email | default("") | tojson }},
    "phone": {{ to.phone | default("") | tojson }}
  },
  "items": [
    {% for item in order.items | many %}
    {% set info = item.product_info | default({}) %}
    {% set url = item.file_url | default(item.image_url) | default("") %}
    {
      "itemReferenceId": {{ item.id | default(loop.index) | tojson }},
      "sku": {{ info.sku | default(item.sku) | tojson }},
      "quantity": {{ item.quantity | default(1) | tojson }},
      "files": [{% if url %}{"url": {{ url | tojson }}}{% endif %}],
      "metadata": {"productInfo": {{ info | tojson }}}
    }{% if not loop.last %},{% endif %}

    {% endfor %}
  ]
}
""",
    cancel="""\
{% set order = request.order | default(request) %}
{"sourceId": {{ order.id | default(order.order_id) | default(order.reference) | tojson }}}
""",
    sample="""\
{
  "order": {
    "id": "RB-5001",
    "shipping_address": {
      "first_name": "Ana", "last_name": "Ruiz", "address1": "Karl Johans gate 4", "postcode": "0154", "city": "Oslo",
      "country_code": "NO", "email": "ana@example.com", "phone": "+47 22 12 34 56"
    },
    "items": [
      {"id": "1", "product_info": {"sku": "card-a6", "finish": "matte"}, "quantity": 1, "file_url": "https://files.example/card.pdf"}
    ]
  }
}
""",
)
