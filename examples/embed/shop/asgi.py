"""`daphne shop.asgi:application`"""

import os

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "shop.settings")
django.setup(set_prefix=False)

from django.contrib.staticfiles.handlers import ASGIStaticFilesHandler  # noqa: E402

from notifications.handler import Handler  # noqa: E402

# messages: this handler in place of Django's. Static files are for this example alone to serve.
application = ASGIStaticFilesHandler(Handler())
