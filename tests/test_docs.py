"""Documentation that fails the build when it lies: what README and docs/ name must be there."""

import ast
import json
import re
import shlex
from datetime import timedelta
from importlib import import_module
from pathlib import Path
from textwrap import dedent
from typing import get_args

import pytest
from django.contrib.auth.models import Group
from django.core.management import get_commands, load_command_class
from django.core.management.base import BaseCommand
from django.urls import reverse
from django.utils import timezone

from notifications import metrics, urls, views, wire
from notifications.management.commands import demo
from notifications.models import Message
from notifications.processes import Standing
from notifications.stream import Reason
from tests.commands import call
from tests.test_direction import MODULES, STAFF, level

ROOT = Path(__file__).parent.parent
PAGES = [
    "README.md",
    "benchmarks/README.md",
    *sorted(f"docs/{p.name}" for p in ROOT.glob("docs/*.md")),
]
TEXTS = {page: (ROOT / page).read_text() for page in PAGES}
README, DESIGN = TEXTS["README.md"], TEXTS["docs/design.md"]
METRICS = TEXTS["docs/metrics.md"]
OPERATIONS, PROTOCOL = TEXTS["docs/operations.md"], TEXTS["docs/protocol.md"]
COMMANDS = sorted(name for name, app in get_commands().items() if app == "notifications")
UNITS = {"MiB": 2**20}
SITE = "healthz", "readyz", "metrics"  # addresses of the project, not of the app


def table(text: str, first: str) -> list[list[str]]:
    """The rows of the table whose first column has that head."""
    found = re.search(rf"^\| {first} \|.*\n\|[-|]+\|\n((?:\|.*\n)+)", text, re.MULTILINE)
    assert found, f"no table of {first!r}"
    return [[cell.strip() for cell in row[1:-1].split("|")] for row in found[1].splitlines()]


def names(text: str, first: str) -> list[str]:
    """What is written as code in that table's first column."""
    return re.findall(r"`([^`]+)`", " ".join(row[0] for row in table(text, first)))


def slug(heading: str) -> str:
    """The anchor that GitHub gives a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


# ---------------------------------------------------------------------------------- what is named


def test_the_variables_of_the_environment_are_those_that_are_read():
    read = re.compile(r'environ\w*(?:\.\w+\(|\[)\s*"([A-Z_]+)"')
    found = {name for path in ROOT.glob("config/*.py") for name in read.findall(path.read_text())}
    assert set(names(README, "variable")) == found


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_is_there_with_just_the_options_it_takes(name):
    def options(command: BaseCommand) -> set[str]:
        actions = command.create_parser("manage.py", name)._actions
        return {option for action in actions for option in action.option_strings}

    said = re.findall(rf"`manage\.py {name}\b([^`]*)`", README)
    assert said
    if name == "broadcast":
        said += names(README, "option")
    own = options(load_command_class("notifications", name)) - options(BaseCommand())
    assert set(re.findall(r"--[a-z-]+", " ".join(said))) == own


def test_the_system_checks_are_those_that_run():
    source = (ROOT / "notifications/checks.py").read_text()
    assert set(names(README, "id")) == set(re.findall(r'id="([^"]+)"', source))


def test_every_promise_has_a_test_and_every_test_that_is_named_exists():
    named = re.compile(r"(tests/\w+\.py)::(\w+)")
    assert len(table(README, "promise")) == 7
    assert all(named.search(test) for _, test in table(README, "promise"))
    for file, test in named.findall("".join(TEXTS.values())):
        tree = ast.parse((ROOT / file).read_text())
        assert test in {getattr(node, "name", None) for node in tree.body}


def test_the_modules_are_all_explained_from_those_that_know_nobody_upwards():
    explained, staff = names(DESIGN, "module"), names(DESIGN, "module of staff")
    assert sorted(explained) == sorted(MODULES.keys() - STAFF)
    assert sorted(staff) == sorted(STAFF)
    assert explained == sorted(explained, key=level)


def test_the_events_and_the_reasons_to_end_are_those_of_the_code():
    script = (ROOT / "notifications/static/notifications/source.js").read_text()
    known = re.search(r"const NAMES = (\[.*?\]);", script, re.DOTALL)
    assert known
    assert sorted(names(PROTOCOL, "event")) == sorted(json.loads(known[1]))
    assert sorted(names(PROTOCOL, "reason")) == sorted(get_args(Reason))


def test_the_transcripts_messages_have_the_fields_that_are_sent():
    data = [json.loads(line) for line in re.findall(r"^data: (.*)$", PROTOCOL, re.MULTILINE)]
    messages = [each for each in data if "title" in each]
    assert messages
    for message in messages:
        assert message.keys() - {"edited_at"} == wire.content(Message()).keys()


@pytest.mark.parametrize(("limit", "value", "name"), table(OPERATIONS, "limit"))
def test_a_limit_is_what_the_code_says(limit, value, name):
    module, _, constant = name.strip("`").rpartition(".")
    number, _, unit = value.partition(" ")
    said = float(number.replace(",", "")) * UNITS.get(unit, 1)
    found = getattr(import_module(f"notifications.{module}"), constant)
    assert said == (found.total_seconds() if isinstance(found, timedelta) else found)


def test_the_metrics_are_those_that_are_told():
    samples = metrics.Figures([metrics.Sample(Standing.of_nobody())])
    told = {each.name: (each.type, each.documentation) for each in samples.collect()}
    explained = {row[0].strip("`"): row[1] for row in table(METRICS, "metric")}
    ends = {"counter": "_total"}
    assert explained == {name + ends.get(kind, ""): kind for name, (kind, _) in told.items()}
    used = set(re.findall(r"notifications_\w+", "".join(re.findall(r"```.*?```", METRICS, re.S))))
    assert used
    assert {re.sub("_(bucket|count|sum)$", "", name) for name in used} <= set(explained)


def test_the_people_of_the_demo_and_their_passwords():
    assert names(README, "log in as") == list(demo.PEOPLE)
    said = {row[1].strip("`") for row in table(README, "log in as")}
    assert said == {demo.password_of(name) for name in demo.PEOPLE}


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page):
    links = re.findall(r"\]\((?!https?:)([^)#]*)#?([^)]*)\)", TEXTS[page])
    links += [(path, "") for path in re.findall(r'(?:src|srcset)="([^"]+)"', TEXTS[page])]
    for path, anchor in links:
        target = (ROOT / page).parent / path if path else ROOT / page
        assert target.exists(), path
        if anchor:
            headings = re.findall(r"^#+ (.+)$", target.read_text(), re.MULTILINE)
            assert anchor in map(slug, headings), f"{path}#{anchor}"


def test_pictures_are_small_all_shown_and_described():
    shown = re.findall(r'docs/images/[^"]+', README)
    assert sorted(shown) == sorted(f"docs/images/{p.name}" for p in ROOT.glob("docs/images/*"))
    for path in shown:
        assert (ROOT / path).stat().st_size <= 120 * 1_024, path
    images = re.findall(r"<img [^>]*>", README)
    assert images
    assert all(re.search(r'alt="[^"]{20,}"', image) for image in images)


def test_make_knows_what_it_is_told():
    targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    code = re.findall(r"^```sh\n.*?^```|`[^`\n]+`", "\n".join(TEXTS.values()), re.M | re.S)
    told = re.findall(r"^`?make ([a-z]+)", "\n".join(code), re.MULTILINE)
    assert told
    assert set(told) <= set(targets)


# ----------------------------------------------------------------------------------- what is run


def test_the_addresses_are_those_that_answer_and_take_just_these_methods(people, client):
    client.force_login(people.alice)
    requests = [request.split() for request in names(README, "request")]
    routes = ["/messages/" + re.sub(r"<int:\w+>", "<id>", str(p.pattern)) for p in urls.urlpatterns]
    known = {route.replace("<str:act>", act) for route in routes for act in views.ACTS}
    assert {path for _, path in requests} == known | set(map(reverse, SITE))
    for method, path in requests:
        other = {"GET": "POST", "POST": "GET"}[method]
        assert client.generic(method, path.replace("<id>", "1")).status_code != 405
        assert client.generic(other, path.replace("<id>", "1")).status_code == 405


def test_the_lines_that_send_do(people, capsys):
    crew = Group.objects.create(name="crew")
    crew.user_set.add(people.alice)
    soon = {"tomorrow": timezone.now() + timedelta(1), "next_week": timezone.now() + timedelta(7)}
    world = {**people._asdict(), "crew": crew, **soon}
    blocks = re.findall(r"^( *)```python\n(.*?)\n\1```$", README, re.MULTILINE | re.DOTALL)
    code = "\n".join(dedent(block) for _, block in blocks)
    exec(compile(code, "README.md", "exec"), world)
    for line in re.findall(r"^ *\S+/python manage\.py broadcast (.*)$", README, re.MULTILINE):
        call("broadcast", *shlex.split(line))
    titles = set(Message.objects.values_list("title", flat=True))
    assert titles == {
        "From a shell",
        "The lift works again.",
        "Your parcel is here.",
        "Maintenance tomorrow night",
        "Crew meeting at ten",
    }
    promised = re.search(r"print\(error.*# (.*)\.\.\.", README)
    assert promised
    assert capsys.readouterr().out.startswith(promised[1])
