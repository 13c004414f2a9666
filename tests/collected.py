"""The project's settings, with collected static files in a folder of the test's own."""

import os

from config.settings import *  # noqa: F403

STATIC_ROOT = os.environ["STATIC_ROOT"]
