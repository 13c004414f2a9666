"""`manage.py broadcast`: a message from a terminal, a cron job or a script."""

import io
import json
import sys
from datetime import UTC, datetime, timedelta

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Group
from django.core.management.base import CommandError
from django.utils import timezone

from notifications.management.commands import broadcast
from notifications.models import Message, Recipient
from tests.commands import call, shell
from tests.composer import Composer
from tests.people import crowd, person, titles


def refusal(*args, **options):
    """(exit code, what is said) of a command that fails."""
    with pytest.raises(CommandError) as caught:
        call("broadcast", *args, **options)
    return caught.value.returncode, str(caught.value)


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


def test_who_is_left_out_does_not_get_it(people, crew):
    said = call("broadcast", "Hello", "--exclude", "group:crew", "user:root")
    assert said == "“Hello” has been sent to everyone, but not crew, root (1 person).\n"
    assert [titles(user) for user in people] == [[], ["Hello"], []]


def test_it_counts_as_the_admins_review_does(people, crew):
    person("gone", is_active=False)
    root = Composer(people.root)
    for to, fields in [
        ([], {"whom": "everyone"}),
        (["--to", "group:crew", "user:bob"], {"groups": [crew.pk], "usernames": "bob"}),
        (["--exclude", "user:bob"], {"whom": "everyone", "but_usernames": "bob"}),
    ]:
        told = call("broadcast", "Hello", *to, "--dry-run")
        root.send(**fields)
        words = LogEntry.objects.latest("pk").get_change_message().removeprefix("Sent to ")
        assert words.removesuffix(".") in told
    assert "everyone (4 people, 1 of them inactive)" in call("broadcast", "Hello")


# ---------------------------------------------------------------------------- people from a file


@pytest.fixture
def addressed(people):
    """alice and bob have e-mail addresses, and two accounts have the same."""
    for user in people:
        user.email = f"{user.username}@Example.com"
        user.save()
    person("twin", email="same@example.com")
    person("other", email="same@example.com")
    return people


@pytest.mark.parametrize(
    ("content", "more"),
    [
        ("alice\nbob\n", []),
        ("\ufeffalice\r\n\r\n bob \r\nalice", []),
        ("ALICE@example.COM\nbob\nalice", []),
        ("name;e-mail\nA;alice@example.com\nB;bob@example.com\n", ["--column", "e-mail"]),
        ('id,login\n1,alice\n2,"bob"\n3\n', ["--column", "login"]),
        ("login\talice\nbob\tx\nalice\ty\n", ["--column", "login"]),
    ],
)
@pytest.mark.parametrize("stdin", [True, False], ids=["stdin", "file"])
def test_people_come_from_a_file_by_name_or_address(
    addressed, tmp_path, monkeypatch, content, more, stdin
):
    file = tmp_path / "people.csv"
    file.write_bytes(content.encode())
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content.encode())))
    said = call("broadcast", "Hello", "--to-file", "-" if stdin else str(file), *more)
    assert said == "“Hello” has been sent to alice, bob (2 people).\n"
    assert [titles(user) for user in addressed] == [["Hello"], ["Hello"], []]


def test_people_of_a_file_add_up_with_others(addressed, crew, tmp_path):
    file = tmp_path / "people"
    file.write_text("bob\nalice\n")
    assert "crew, root, alice and 1 more (3 people)" in call(
        "broadcast", "Hello", "--to", "group:crew", "user:root", "--to-file", str(file)
    )


def test_who_is_not_found_is_listed_and_nothing_is_sent_unless_they_are_to_be_skipped(
    addressed, tmp_path
):
    file = tmp_path / "people"
    file.write_text("alice\nzed\nsame@example.com\n")
    code, said = refusal("Hello", "--to-file", str(file))
    assert (code, rows()) == (1, (0, 0))
    assert said == (
        "--to-file: 2 not found: 'zed', 'same@example.com'. "
        "Nothing was written; --skip-unknown sends it to the others."
    )
    told = io.StringIO()
    said = call("broadcast", "Hello", "--to-file", str(file), "--skip-unknown", stderr=told)
    assert said == "“Hello” has been sent to alice (1 person).\n"
    assert told.getvalue() == "Left out: 2 not found: 'zed', 'same@example.com'.\n"


def test_of_many_who_are_not_found_some_are_listed(people, tmp_path):
    file = tmp_path / "people"
    file.write_text("".join(f"x{n}\n" for n in range(1_500)))
    said = refusal("Hello", "--to-file", str(file))[1]
    assert "1,500 not found: 'x0', 'x1'" in said
    assert "'x19' and 1,480 more." in said
    assert refusal("Hello", "--to-file", str(file), "--skip-unknown")[0] == 3
    assert rows() == (0, 0)


@pytest.mark.parametrize(
    ("content", "args", "said"),
    [
        (b"a,b\nalice,x\n", [], "--to-file: It has several columns: say which one with --column."),
        (b"a,b\n", ["--column", "c"], "--column: There is no column 'c'. There is: 'a', 'b'."),
        (b"", ["--column", "c"], "--column: There is no column 'c'. There is: none."),
        (b"caf\xe9", [], "--to-file: Not UTF-8 at byte 3."),
        (b"alice", ["--to", "everyone"], "--to-file: Everyone has them already: not both."),
    ],
)
def test_what_is_wrong_with_a_file_is_said(people, tmp_path, content, args, said):
    file = tmp_path / "people"
    file.write_bytes(content)
    assert refusal("Hello", "--to-file", str(file), *args) == (1, said)
    assert rows() == (0, 0)


def test_an_empty_file_is_for_nobody_and_not_for_everyone(people, tmp_path):
    file = tmp_path / "people"
    file.touch()
    assert refusal("Hello", "--to-file", str(file))[0] == 3
    assert rows() == (0, 0)


def test_a_file_of_thousands_takes_few_queries(people, tmp_path, django_assert_max_num_queries):
    file = tmp_path / "people"
    file.write_text("\n".join(user.username for user in crowd(5_000)))
    with django_assert_max_num_queries(80):
        assert "(5,000 people)" in call("broadcast", "Hello", "--to-file", str(file))


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
        (["Hello", "--exclude", "crew"], "argument --exclude: 'crew' is not user:NAME"),
        (["Hello", "--exclude", "user:zed"], "--exclude: There is no user 'zed'."),
        (["Hello", "--to-file", "missing.csv"], "--to-file: missing.csv: No such file"),
        (["Hello", "--column", "x"], "--column and --skip-unknown belong to --to-file"),
        (["Hello", "--to-file", "-", "--body-file", "-"], "cannot both read standard input"),
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


def test_on_a_terminal_a_bar_grows(people, crew, monkeypatch):
    monkeypatch.setattr(broadcast, "MANY", 4)
    monkeypatch.setattr("notifications.audience.CHUNK", 2)
    crew.user_set.add(*crowd(3))
    terminal = io.StringIO()
    terminal.isatty = lambda: True
    call("broadcast", "Hello", "--to", "group:crew", stderr=terminal, no_color=True)
    first, *_ = terminal.getvalue().split("\r")
    assert first == "[############------------] 2 of 4 recipients"
    assert "[########################] 4 of 4 recipients" in terminal.getvalue()


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
