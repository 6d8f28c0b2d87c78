"""The web application, for any WSGI server."""

import os

from django.core.wsgi import get_wsgi_application

from gelatoconnect import supervisor

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "gelatoconnect.settings")
supervisor.end_with_parent()
application = get_wsgi_application()
