"""A line of the log is a line, for people or for programs."""

import json
import logging
import sys

from config.logs import JsonFormatter
from tests.test_settings import PRODUCTION, run

LINES = """
import django; django.setup()
import logging
from notifications.tally import say
say("opened", user=7)
logging.getLogger("notifications").warning("Two\\nlines, 大")
"""


def record(**more):
    made = logging.makeLogRecord({"name": "n", "levelname": "INFO", "msg": "a\nb %s", "args": (1,)})
    made.__dict__.update(more)
    return made


def test_json_is_one_line_with_the_fields_of_the_event():
    line = JsonFormatter().format(record(fields={"event": "closed", "reason": "slow"}))
    assert "\n" not in line
    told = json.loads(line)
    assert (told["message"], told["event"], told["reason"]) == ("a\nb 1", "closed", "slow")
    assert told["time"].endswith("+00:00")


def test_a_traceback_is_in_the_same_line():
    try:
        raise ValueError("broken")
    except ValueError:
        line = JsonFormatter().format(record(exc_info=sys.exc_info()))
    assert "\n" not in line
    assert "ValueError: broken" in json.loads(line)["traceback"]


def process(**environment):
    done = run("-c", LINES, **PRODUCTION, DJANGO_SETTINGS_MODULE="config.settings", **environment)
    assert done.returncode == 0
    return done.stderr.splitlines()


def test_the_format_is_chosen_by_the_environment():
    events = [json.loads(line) for line in process(LOG_FORMAT="json")]
    assert [event["logger"] for event in events] == ["notifications.events", "notifications"]
    assert (events[0]["event"], events[0]["user"]) == ("opened", 7)


def test_for_people_it_stays_as_it_was_and_says_nothing_of_each_stream():
    warning, rest = process()
    assert warning.endswith("WARNING notifications: Two")
    assert rest == "lines, 大"
