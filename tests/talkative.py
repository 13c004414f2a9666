"""The project's settings, with every statement in the log. Needs DEBUG=1."""

from config.settings import *  # noqa: F403
from config.settings import LOGGING

LOGGING["loggers"]["django.db.backends"] = {"level": "DEBUG"}
