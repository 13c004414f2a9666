"""What an ASGI server runs: `daphne config.asgi:application`.

The handler is the project's own, because Django's gives every open stream a thread and, with it, a
database connection. There is no wsgi.py: a stream would pin a WSGI worker.
"""

import gc
import os

import django
from django.conf import settings

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
django.setup(set_prefix=False)

from notifications.handler import Handler  # noqa: E402 - its models need the set-up

application = Handler()

# Open streams are many objects that live long: six thousand of them stopped the process for a
# quarter of a second whenever all were looked at, which Python does while their number grows. What
# is loaded by now is never looked at again, and the rest less often.
gc.collect()
gc.freeze()
gc.set_threshold(*settings.GC_THRESHOLDS)
