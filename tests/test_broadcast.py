"""`manage.py broadcast`: a message from a terminal, a cron job or a script."""

import io
import json
import sys
from datetime import UTC, datetime, timedelta

import pytest
from django.contrib.auth.models import Group
from django.core.management.base import CommandError
from django.utils import timezone

from notifications import inbox
from notifications.management.commands import broadcast
from notifications.models import Message, Recipient
from tests.commands import call, shell
from tests.people import crowd


@pytest.fixture
def crew(people):
    crew = Group.objects.create(name="crew")
    crew.user_set.add(people.alice)
    return crew


def refusal(*args, **options):
    """(exit code, what is said) of a command that fails."""
    with pytest.raises(CommandError) as caught:
        call("broadcast", *args, **options)
    return caught.value.returncode, str(caught.value)


def titles(user):
    return [item.message.title for item in inbox.listing(user).items]


def rows():
    return Message.objects.count(), Recipient.objects.count()


def near(moment, expected):
    return abs(moment - expected) < timedelta(minutes=1)


# ------------------------------------------------------------------------------------ sending


def test_everyone_is_the_default(people):
    assert call("broadcast", "Hello") == "“Hello” has been sent to everyone (3 people).\n"
    assert titles(people.bob) == ["Hello"]


@pytest.mark.parametrize(
    "to",
    [
        ["--to", "group:crew", "user:bob"],
        ["--to", "group:crew", "--to", "user:bob"],
        ["--to", "user:bob", "--to", "group:crew", "user:alice", "user:bob"],
    ],
)
def test_groups_and_users_may_be_named_together_or_one_by_one(people, crew, to):
    assert "(2 people)" in call("broadcast", "Hello", *to)
    assert [titles(user) for user in people] == [["Hello"], ["Hello"], []]


def test_everything_that_a_message_has_can_be_said(people):
    more = "--body=*now* --level=warning --link=/x/ --from=root --key=k --expires=1d"
    call("broadcast", "Hello", *more.split())
    message = Message.objects.get()
    assert (message.html, message.level) == ("<p><em>now</em></p>", "warning")
    assert (message.link, message.sender, message.key) == ("/x/", people.root, "k")
    assert near(message.expires_at, timezone.now() + timedelta(days=1))


def test_a_body_comes_from_a_file_or_from_stdin(people, tmp_path, monkeypatch):
    file = tmp_path / "body.md"
    file.write_bytes("你好\r\n".encode())
    call("broadcast", "one", "--body-file", str(file))
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO("再见".encode())))
    call("broadcast", "two", "--body-file", "-")
    assert list(Message.objects.values_list("body", flat=True)) == ["你好\r\n", "再见"]


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        ("2999-12-24T18:00", datetime(2999, 12, 24, 17, tzinfo=UTC)),  # in Berlin
        ("2999-12-24 18:00+08:00", datetime(2999, 12, 24, 10, tzinfo=UTC)),
        ("2999-12-24T18:00Z", datetime(2999, 12, 24, 18, tzinfo=UTC)),
    ],
)
def test_a_time_without_a_zone_is_in_the_sites(people, settings, at, expected):
    settings.TIME_ZONE = "Europe/Berlin"
    said = call("broadcast", "Hello", "--at", at)
    assert Message.objects.get().publish_at == expected
    assert "will be sent to everyone (3 people) on Dec. 24, 2999," in said
    assert said.endswith("CET.\n")
    assert titles(people.alice) == []


def test_an_end_as_a_duration_counts_from_the_publication(people):
    call("broadcast", "Hello", "--at", "2h", "--expires", "30m")
    message = Message.objects.get()
    assert near(message.publish_at, timezone.now() + timedelta(hours=2))
    assert message.expires_at - message.publish_at == timedelta(minutes=30)


def test_json_says_it_to_programs(people, crew):
    said = json.loads(call("broadcast", "Hello", "--to", "group:crew", "--key", "k", "--json"))
    message = Message.objects.get()
    assert datetime.fromisoformat(said.pop("published_at")) == message.published_at
    assert datetime.fromisoformat(said.pop("publish_at")) == message.publish_at
    assert said == {
        "id": message.pk,
        "position": 1,
        "title": "Hello",
        "level": "info",
        "key": "k",
        "expires_at": None,
        "audience": "crew",
        "recipients": 1,
        "sent": True,
        "dry_run": False,
    }


def test_a_dry_run_says_what_it_would_do_and_writes_nothing(people, crew):
    to = ["--to", "user:bob", "group:crew"]
    said = call("broadcast", "Hello", *to, "--dry-run")
    assert (
        said == "Nothing was written. It would be: “Hello” has been sent to crew, bob (2 people).\n"
    )
    report = json.loads(call("broadcast", "Hello", *to, "--dry-run", "--json"))
    assert (report["id"], report["sent"], report["dry_run"]) == (None, False, True)
    assert rows() == (0, 0)
    assert refusal("Hello", "--link", "ftp://x", "--dry-run")[0] == 1  # as a real one


# ----------------------------------------------------------------------------------- refusing


@pytest.mark.parametrize(
    ("args", "option"),
    [
        ([""], "TITLE: "),
        (["x" * 201], "TITLE: "),
        (["a\ud800"], "TITLE: "),
        (["Hello", "--level", "loud"], "argument --level: "),
        (["Hello", "--link", "javascript:alert(1)"], "--link: "),
        (["Hello", "--body", "x" * 10_001], "--body: "),
        (["Hello", "--body-file", "missing.md"], "--body-file: missing.md: No such file"),
        (["Hello", "--body-file", "."], "--body-file: .: Is a directory"),
        (["Hello", "--body", "x", "--body-file", "y"], "argument --body-file: not allowed with"),
        (["Hello", "--at", "soon"], "--at: 'soon' is neither a time"),
        (["Hello", "--at", "0001-01-01T00:00+14:00"], "--at: "),
        (["Hello", "--at", "999999999w"], "--at: "),
        (["Hello", "--expires", "2001-01-01"], "--expires: "),
        (["Hello", "--at", "2h", "--expires", "0m"], "--expires: "),
        (["Hello", "--key", ""], "--key: "),
        (["Hello", "--from", "zed"], "--from: There is no user 'zed'."),
        (["Hello", "--to", "user:zed", "user:eve"], "--to: There is no user 'zed', 'eve'."),
        (["Hello", "--to", "group:x"], "--to: There is no group 'x'."),
        (["Hello", "--to", "crew"], "argument --to: 'crew' is not everyone, user:NAME"),
        (["--to", "user:alice", "Hello"], "TITLE comes before --to"),
        ([], "the following arguments are required: TITLE"),
    ],
)
def test_bad_input_is_refused_by_the_name_of_its_option(people, args, option):
    code, said = refusal(*args)
    assert code == 1
    assert option in said
    assert "\n" not in said
    assert rows() == (0, 0)


def test_a_body_that_is_not_utf_8_is_refused(people, tmp_path):
    file = tmp_path / "body.md"
    file.write_bytes(b"caf\xe9")
    assert refusal("Hello", "--body-file", str(file)) == (1, "--body-file: Not UTF-8 at byte 3.")


def test_nobody_is_told_apart_from_somebody(people):
    Group.objects.create(name="empty")
    code, said = refusal("Hello", "--to", "group:empty")
    assert (code, rows()) == (3, (0, 0))
    assert "Nobody matches" in said


@pytest.mark.parametrize("again", [[], ["--dry-run"]])
def test_the_same_key_twice_is_one_message(people, again):
    call("broadcast", "Hello", "--key", "k")
    message = Message.objects.get()
    code, said = refusal("Hello again", "--key", "k", *again)
    assert code == 4
    assert f"'k' was used already, by message {message.pk}" in said
    assert titles(people.alice) == ["Hello"]


# ----------------------------------------------------------------------------------- progress


def test_many_recipients_are_counted_while_they_are_written(people, crew, monkeypatch):
    monkeypatch.setattr(broadcast, "MANY", 5)
    monkeypatch.setattr("notifications.audience.CHUNK", 2)
    crew.user_set.add(*crowd(4))
    progress = io.StringIO()
    call("broadcast", "Hello", "--to", "group:crew", stderr=progress)
    lines = progress.getvalue().splitlines()
    assert lines[0] == "2 of 5 recipients"
    assert lines[-1] == "5 of 5 recipients"


def test_few_are_not_worth_a_line(people, crew):
    progress = io.StringIO()
    call("broadcast", "Hello", "--to", "group:crew", stderr=progress)
    assert progress.getvalue() == ""


# -------------------------------------------------------------------------------- in a shell


def test_in_a_shell_the_exit_code_says_how_it_went(people):
    Group.objects.create(name="empty")
    sent = shell("broadcast", "Hello", "--key", "k", "--body-file", "-", stdin="你好".encode())
    assert (sent.returncode, sent.stderr) == (0, "")
    assert Message.objects.get().body == "你好"
    for code, *args in [
        (1, "--to", "user:zed"),
        (1, "--level", "loud"),
        (1, "--nonsense"),
        (3, "--to", "group:empty"),
        (4, "--key", "k"),
    ]:
        failed = shell("broadcast", "Hello", *args)
        assert (failed.returncode, failed.stdout) == (code, "")
        assert failed.stderr.startswith("CommandError: ")
        assert failed.stderr.count("\n") == 1
        assert args[0] in failed.stderr
    assert Message.objects.count() == 1
