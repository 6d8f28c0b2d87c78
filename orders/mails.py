"""Mail of triggers: subject, text and HTML, from the trigger's own templates or the standard ones; and sending it."""

import smtplib
from typing import Any

from django.conf import settings
from django.core.mail import EmailMultiAlternatives, get_connection
from django.core.mail.backends.smtp import EmailBackend
from django.template.loader import render_to_string

from orders.events import Permanent, TryLater
from orders.models import Trigger
from orders.payloads import Occasion, rendered

LONGEST_SUBJECT = 200  # characters
KEPT = 100_000  # characters of what was sent
SMTP = "django.core.mail.backends.smtp.EmailBackend"
# Not the fault of what is sent: the operator mends it, and the mail goes out.
_OUR_FAULT = (smtplib.SMTPAuthenticationError, smtplib.SMTPConnectError, smtplib.SMTPHeloError)


class Refused(smtplib.SMTPException):
    """The server took the mail, but not for all addresses: {address: (code, why)}."""

    def __init__(self, recipients: dict[str, tuple[int, bytes]]) -> None:
        super().__init__(recipients)
        self.recipients = recipients


class _Smtp(smtplib.SMTP):
    def sendmail(self, *args: Any, **kwargs: Any) -> Any:
        if refused := super().sendmail(*args, **kwargs):
            raise Refused(refused)
        return {}


class Backend(EmailBackend):
    """Django's, which keeps to itself that the server refused some of the addresses."""

    @property
    def connection_class(self) -> type[smtplib.SMTP]:  # type: ignore[override]
        return _Smtp if not self.use_ssl else super().connection_class


def compose(trigger: Trigger, occasion: Occasion) -> EmailMultiAlternatives:
    """The mail, ready to be sent. Raises Rejected for a template that fails; the problem's details name it.

    The Message-ID is that of event and trigger: a mail that comes twice can be told by it.
    """
    context = occasion.context()
    text = _text(trigger, context)
    headers = {"Message-ID": f"<{occasion.id}.{trigger.pk}@gelatoconnect>", "Auto-Submitted": "auto-generated"}
    if occasion.test:
        headers["X-GelatoConnect-Test"] = "true"
    mail = EmailMultiAlternatives(_subject(trigger, context), text, to=addresses_of(trigger.address), headers=headers)
    mail.attach_alternative(_html(trigger, context, text), "text/html")
    return mail


def addresses_of(text: str) -> list[str]:
    """Commas stand between."""
    return [each.strip() for each in text.split(",") if each.strip()]


def _subject(trigger: Trigger, context: dict[str, Any]) -> str:
    """On one line, whatever the template or a reference has in it."""
    made = rendered("subject", trigger.subject, context) if trigger.subject.strip() else _standard_subject(context)
    subject = " ".join("".join(sign if sign.isprintable() else " " for sign in made).split())
    return ("Test: " if context["test"] else "") + (subject or _standard_subject(context))[:LONGEST_SUBJECT]


def _standard_subject(context: dict[str, Any]) -> str:
    if context["order"]:
        return f"Order {context['order']['referenceId']}: {context['title']}"
    named = (context["request"] or {}).get("referenceId")
    return f"{context['title'][:1].upper()}{context['title'][1:]}: {named or 'unreadable'}"


def _text(trigger: Trigger, context: dict[str, Any]) -> str:
    if trigger.template.strip():
        return rendered("template", trigger.template, context)
    return render_to_string("emails/event.txt", context)


def _html(trigger: Trigger, context: dict[str, Any], text: str) -> str:
    """Its own template; or the standard mail, which says the text where that is the trigger's own."""
    if trigger.html.strip():
        # On its first line, so that lines keep their numbers. What the data says is text, never markup.
        source = "{% autoescape true %}" + trigger.html + "{% endautoescape %}"
        return rendered("html", source, context)
    own = text if trigger.template.strip() else ""
    return render_to_string("emails/event.html", context | {"text": own, "about": _standard_subject(context),
                                                            "producer": settings.PRODUCER_NAME})  # fmt: skip


def send(mail: EmailMultiAlternatives, *, report: dict[str, Any]) -> None:
    """Hand it to the mail server. Raises Permanent for what it refuses for good (5xx), TryLater for all else."""
    html = next((str(content)[:KEPT] for content, kind in mail.alternatives if kind == "text/html"), "")
    report["request"] = {"to": ", ".join(mail.to), "subject": mail.subject, "body": str(mail.body)[:KEPT], "html": html}
    mail.connection = get_connection("orders.mails.Backend") if settings.EMAIL_BACKEND == SMTP else None
    try:
        mail.send()
    except (smtplib.SMTPRecipientsRefused, Refused) as refusal:
        raise _refused(refusal.recipients, some=isinstance(refusal, Refused)) from refusal
    except smtplib.SMTPResponseException as answer:
        said = f"The mail server answered {answer.smtp_code}: {_words(answer.smtp_error)}"
        final = answer.smtp_code >= 500 and not isinstance(answer, _OUR_FAULT)
        raise (Permanent if final else TryLater)(said) from answer
    except OSError as error:  # smtplib's errors are OSErrors
        raise TryLater(f"The mail server did not take it: {error}") from error


def _refused(recipients: dict[str, tuple[int, bytes]], *, some: bool) -> Exception:
    """Later when one of them may still be taken: the others tell a mail that comes twice by its Message-ID."""
    said = "; ".join(f"{address} ({code}: {_words(why)})" for address, (code, why) in recipients.items())
    final = all(code >= 500 for code, _ in recipients.values())
    others = " The other addresses got it." if some else ""
    return (Permanent if final else TryLater)(f"The mail server refused {said}.{others}")


def _words(said: Any) -> str:
    text = said.decode(errors="replace") if isinstance(said, bytes) else str(said)
    return " ".join(text.split())[:300]
