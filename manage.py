#!/usr/bin/env python
"""Django's command line: `./manage.py help` lists what there is; `./manage.py up` runs everything."""

import os
import sys

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "gelatoconnect.settings")
    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)
