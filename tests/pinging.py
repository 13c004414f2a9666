"""The project as a server runs it, in a hurry: pings after a fifth of a second of silence."""

from config.asgi import application as application
from notifications import running, stream

running.TICK = stream.PING_AFTER = 0.2  # s
