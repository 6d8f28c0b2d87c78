"""The local mailbox: what would have been sent, where no mail server is set up."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from orders import mailbox
from orders.pages import staff_only
from orders.views.triggers import framed


def local_only(view: Callable) -> Callable:
    """Where mail is really sent there is no such page. What mail says of recipients is for those who manage it."""

    @wraps(view)
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if not mailbox.in_use():
            raise Http404
        return view(request, *args, **kwargs)

    return staff_only("orders.change_trigger")(require_GET(guarded))


@local_only
def mail_list(request: HttpRequest) -> HttpResponse:
    found = mailbox.newest()
    context = {"section": "triggers", "title": "Local mailbox", "mails": found, "most": mailbox.SHOWN}
    return render(request, "orders/mailbox.html", context)


@local_only
def mail_detail(request: HttpRequest, file: str, number: int) -> HttpResponse:
    mail = _found(file, number)
    context = {"section": "triggers", "title": mail.subject or "(no subject)", "mail": mail}
    return render(request, "orders/mailbox_mail.html", context)


@local_only
def mail_html(request: HttpRequest, file: str, number: int) -> HttpResponse:
    return framed(_found(file, number).html)


def _found(file: str, number: int) -> mailbox.Mail:
    mail = mailbox.find(file, number)
    if mail is None:
        raise Http404
    return mail
