"""What the project is measured beside, each written as its users write it. None of them has a log
in, a log to resume from, or more than one process: that is left out in their favour.

All speak the same: `GET /messages/stream/` opens a stream, `POST /send` with an event's JSON as
its body sends it to all.
"""
