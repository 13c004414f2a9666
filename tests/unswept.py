"""The project as a server runs it, but for the sweep, which never comes."""

from config.asgi import application as application
from notifications import running

running.SWEEP = float("inf")  # s
