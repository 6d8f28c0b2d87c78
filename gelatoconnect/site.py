"""The admin's site: Django's own, except that one's own password is not changed without a word in the audit."""

from typing import Any

from django.contrib import admin
from django.contrib.auth.models import User
from django.http import HttpRequest
from django.template.response import TemplateResponse

from orders import audit
from orders.pages import actor


class Site(admin.AdminSite):
    def password_change(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> TemplateResponse:
        person = User.objects.get(username=request.user.get_username())
        with audit.watch(person, by=actor(request)):
            return super().password_change(request, extra_context)
