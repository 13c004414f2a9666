"""What an ASGI server runs: `daphne config.asgi:application`.

The handler is the project's own, because Django's gives every open stream a thread and, with it, a
database connection. There is no wsgi.py: a stream would pin a WSGI worker.
"""

import os

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
django.setup(set_prefix=False)

from notifications.handler import Handler  # noqa: E402 - its models need the set-up

application = Handler()
