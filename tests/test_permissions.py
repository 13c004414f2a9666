"""Each role sees what it may do, and is refused the rest, also by forged posts."""

from datetime import timedelta
from importlib import import_module

import pytest
from asgiref.sync import sync_to_async
from django.apps import apps
from django.contrib.auth.models import Group, Permission
from django.db import OperationalError, connection, transaction
from django.test import Client
from django.utils import timezone

from notifications import EVERYONE, inbox, send
from notifications.models import Draft, Message, Recipient
from notifications.staff import permissions
from notifications.staff.drafts import send_now
from tests.composer import ADD, MESSAGES, Composer, nothing_is_written, staff, ten_seconds_pass
from tests.people import person
from tests.together import together

PATHS = (
    "add/",
    "audience-count/",
    "audience-estimate/",
    "preview/",
    "people/?q=a",
    "review/x/",
    "sent/1/",
    "undo/1/",
)
SEND = "send_to_users", "send_to_groups", "send_to_everyone"


def audiences(crew):
    """What is posted for each kind of audience, and the field of the form that it needs."""
    return {
        "send_to_users": ({"usernames": "alice"}, 'name="usernames"'),
        "send_to_groups": ({"groups": [crew.pk]}, 'name="groups"'),
        "send_to_everyone": ({"whom": "everyone"}, 'value="everyone"'),
    }


@pytest.mark.parametrize("permission", SEND)
def test_a_sender_is_offered_his_kind_of_audience_and_refused_the_others(people, crew, permission):
    _, clerk = staff(permission)
    page = clerk.get()
    for needed, (fields, field) in audiences(crew).items():
        assert (field in page) == (needed == permission)
        clerk.review(**fields)  # forged, where it is not offered
        if needed == permission:
            clerk.confirm()
        else:
            assert clerk.errors
    assert Message.objects.count() == 1
    ten_seconds_pass()
    assert inbox.state(people.alice).unread == 1


@pytest.mark.parametrize("permission", SEND)
def test_a_permission_that_is_taken_away_counts_at_once(people, crew, permission):
    clerk, page = staff(permission, "view_statistics")
    page.review(**audiences(crew)[permission][0])
    clerk.user_permissions.clear()
    page.confirm()
    assert page.status == 403
    assert nothing_is_written()


def test_another_permission_does_not_send_a_draft_of_before(people, crew):
    clerk, page = staff("send_to_everyone", "send_to_users")
    page.review(whom="everyone")
    clerk.user_permissions.remove(*clerk.user_permissions.filter(codename="send_to_everyone"))
    page.confirm()
    assert page.errors == {"whom": ["You may not send to them."]}
    assert nothing_is_written()


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("role", ["reader", "view_statistics", "change_message", "add_message"])
def test_who_may_send_to_nobody_has_no_business_there(people, path, role):
    if role == "reader":
        client = Client()
        client.force_login(people.alice)
    else:
        client = staff(role)[1].client
    for response in (client.get(MESSAGES + path), client.post(MESSAGES + path, {"_save": "1"})):
        if role == "reader":
            assert response.headers["Location"].startswith("/admin/login/")
        else:
            assert response.status_code == 403
    assert nothing_is_written()
    assert not Draft.objects.exists()


def test_nothing_is_posted_without_the_forms_token(people):
    client = Client(enforce_csrf_checks=True)
    client.force_login(people.root)
    for path in (
        "add/",
        "audience-count/",
        "audience-estimate/",
        "preview/",
        "review/x/",
        "undo/1/",
    ):
        assert client.post(MESSAGES + path, {"_test": "1", "title": "x"}).status_code == 403
    assert nothing_is_written()


def test_names_are_shown_and_found_only_by_who_may_see_users(people, crew):
    _, clerk = staff(*SEND)
    _, trusted = staff(*SEND, "view_user", name="trusted")
    for composer, sees in ((clerk, False), (trusted, True)):
        composer.client.post(f"{MESSAGES}audience-count/", {"whom": "everyone"})
        assert ("data-people" in composer.get()) == sees
        review = composer.review(whom="everyone")
        assert ("alice" in review) == sees
        found = composer.client.get(f"{MESSAGES}people/", {"q": "al"})
        assert found.status_code == (200 if sees else 403)
    assert trusted.client.get(f"{MESSAGES}people/", {"q": "al"}).json() == {"names": ["alice"]}
    assert trusted.client.get(f"{MESSAGES}people/").json() == {"names": []}


# ------------------------------------------------------------------------------- whose messages


def messages_of(people, clerk):
    """The clerk's own, root's, and nobody's."""
    return [send("Hello", to=EVERYONE, sender=user) for user in (clerk, people.root, None)]


@pytest.mark.parametrize(
    ("role", "sees", "changes", "withdraws"),
    [
        (["send_to_users"], [True, False, False], [True, False, False], [True, False, False]),
        (["view_statistics"], [True] * 3, [False] * 3, [True, False, False]),
        (["withdraw_any"], [True] * 3, [False] * 3, [True] * 3),
        (["change_message"], [True, False, False], [True, False, False], [True, False, False]),
        (["change_message", "view_statistics"], [True] * 3, [True] * 3, [True, False, False]),
        (["send_to_users", "withdraw_any"], [True] * 3, [True, False, False], [True] * 3),
    ],
)
def test_a_role_sees_changes_and_withdraws(people, role, sees, changes, withdraws):
    clerk, page = staff(*role)
    messages = messages_of(people, clerk)
    visible = permissions.visible(Message.objects.all(), clerk)
    for n, message in enumerate(messages):
        assert permissions.may_see(clerk, message) == (message in visible) == sees[n]
        assert permissions.may_change(clerk, message) == changes[n]
        assert permissions.may_withdraw(clerk, message) == withdraws[n]
        path = f"{MESSAGES}{message.pk}/change/"
        shown = page.client.get(path)
        assert (shown.status_code == 200) == sees[n]
        posted = page.client.post(path, {"title": "New", "level": "info"})  # forged
        message.refresh_from_db()
        assert (message.title == "New") == changes[n], posted.status_code


def test_a_message_of_others_is_neither_copied_nor_undone(people):
    _, page = staff("send_to_users")
    later = timezone.now() + timedelta(seconds=9)
    message = send("a secret", to=[people.alice], sender=people.root, at=later)
    assert "a secret" not in page.get(ADD, copy=message.pk)
    page.undo(message)
    assert page.status == 404
    page.get(f"{MESSAGES}sent/{message.pk}/")
    assert page.status == 404
    message.refresh_from_db()
    assert message.withdraw_at is None


def test_who_sees_messages_of_others_does_not_undo_them(people):
    _, page = staff("send_to_users", "view_statistics")
    later = timezone.now() + timedelta(seconds=9)
    message = send("Hello", to=[people.alice], sender=people.root, at=later)
    page.undo(message)
    assert page.status == 403
    message.refresh_from_db()
    assert message.withdraw_at is None


# ---------------------------------------------------------------------------------- the limit


def test_above_the_limit_it_is_said_when_one_can_send_again(people, settings):
    settings.NOTIFICATIONS_SENDS_PER_HOUR = 2
    clerk, page = staff("send_to_users")
    page.send(usernames="alice")
    page.press("_test")
    page.review(usernames="alice")
    for refusal in (page.confirm(), page.press("_test")):
        assert "You may send 2 messages an hour. You can send again on " in refusal
    assert Message.objects.count() == 2
    Message.objects.filter(pk=Message.objects.earliest("pk").pk).update(
        created_at=timezone.now() - timedelta(hours=1)
    )
    page.send(usernames="alice")
    assert Message.objects.filter(sender=clerk).count() == 3


@pytest.mark.parametrize(("permission", "limit"), [("unlimited_sends", 1), ("view_statistics", 0)])
def test_who_has_no_limit_sends_on(people, settings, permission, limit):
    settings.NOTIFICATIONS_SENDS_PER_HOUR = limit
    _, page = staff("send_to_users", permission)
    for _ in range(3):
        page.send(usernames="alice")
    assert Message.objects.count() == 3


SEND_ONE = """
import json, sys
from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from notifications.staff.drafts import send_now
user = get_user_model().objects.get(username="clerk")
try:
    print(json.dumps(send_now(user, title=sys.argv[1], to=[user]).pk), flush=True)
except ValidationError:
    print("null", flush=True)
"""


async def test_two_tabs_at_once_do_not_pass_the_limit(people, monkeypatch):
    monkeypatch.setenv("NOTIFICATIONS_SENDS_PER_HOUR", "1")
    await sync_to_async(staff)("send_to_users")
    async with together(SEND_ONE, [(f"tab {n}",) for n in range(4)]) as go:
        sent = await sync_to_async(go)()
    assert sum(pk is not None for pk in sent) == 1
    assert await Message.objects.acount() == 1


WAIT = {"postgresql": "SET lock_timeout = '300ms'", "mysql": "SET innodb_lock_wait_timeout = 1"}


@pytest.mark.only("postgresql", "mysql")  # on SQLite one transaction writes at a time
def test_who_counts_waits_for_what_the_other_tab_is_sending(people, in_thread):
    clerk, _ = staff("send_to_users")

    def other_tab():
        with connection.cursor() as sql:
            sql.execute(WAIT[connection.vendor])
        with pytest.raises(OperationalError, match=r"(?i)lock"):
            send_now(clerk, title="second", to=[clerk])

    with transaction.atomic():
        send_now(clerk, title="first", to=[clerk])
        in_thread(other_tab)
    assert Message.objects.get().title == "first"


def test_the_limit_is_of_the_sender_not_of_all(people, settings):
    settings.NOTIFICATIONS_SENDS_PER_HOUR = 1
    for name in ("ann", "ben"):
        staff("send_to_users", name=name)[1].send(usernames="alice")
    send("by a program", to=[people.alice])
    assert Message.objects.count() == 3


def test_a_superuser_may_do_everything(people, crew):
    root = Composer(people.root)
    for fields, field in audiences(crew).values():
        assert field in root.get()
        root.send(**fields)
    assert Message.objects.count() == 3
    assert not Recipient.objects.filter(user=person("nobody")).exists()


def test_who_could_send_before_there_were_permissions_for_it_still_can(people):
    """What the migration does to a database with senders."""
    migration = import_module("notifications.migrations.0005_sending")
    Permission.objects.filter(codename__in=SEND[:2]).delete()
    clerk, _ = staff("add_message")
    editors = Group.objects.create(name="editors")
    editors.permissions.set(Permission.objects.filter(codename="add_message"))
    migration.keep_senders(apps, connection.schema_editor())
    names = {permission.codename for permission in clerk.user_permissions.all()}
    assert names == {"add_message", "send_to_users", "send_to_groups"}
    assert editors.permissions.count() == 3
