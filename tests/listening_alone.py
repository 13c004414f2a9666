"""The project as a server runs it, but it never looks unless something rings."""

from config.asgi import application as application
from notifications import running

running.LOOK_ANYWAY = 3600.0  # s
