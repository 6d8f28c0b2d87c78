"""People in the admin: users with their roles and rights, and whatever changes of them is audited."""

from django.contrib import admin
from django.contrib.auth import admin as people
from django.contrib.auth.models import Group, User
from django.http import HttpRequest, HttpResponse

from orders import audit
from orders.audited import Audited
from orders.pages import actor

admin.site.unregister([User, Group])  # Django's own pages of them, which write no audit


@admin.register(User)
class PersonAdmin(Audited, people.UserAdmin):
    def user_change_password(self, request: HttpRequest, id: str, form_url: str = "") -> HttpResponse:
        """Another password for somebody."""
        person = self.get_object(request, id)
        with audit.watch(*([person] if person else []), by=actor(request)):
            return super().user_change_password(request, id, form_url)


@admin.register(Group)
class RoleAdmin(Audited, people.GroupAdmin):
    pass
