"""What else the admin has of messages: recipients and the log, to look at."""

import re
from html import unescape

import pytest
from django.contrib.auth.models import Permission
from django.test import Client

from notifications import EVERYONE, send
from notifications.models import Change, Recipient
from tests.people import person

MESSAGES = "/admin/notifications/message/"
ADD = f"{MESSAGES}add/"


@pytest.fixture
def admin(people, client):
    client.force_login(people.root)
    return client


def staff(*permissions):
    """A member of staff who may do just this."""
    user = person("clerk", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    client = Client()
    client.force_login(user)
    return client


def post(client, path, **fields):
    return client.post(path, {"title": "Hello", "level": "info"} | fields, follow=True)


def text(response):
    return unescape(response.content.decode())


# ------------------------------------------------------------------------------------ who may


def test_who_may_only_see_changes_nothing(people):
    message = send("Hello", to=EVERYONE)
    client = staff("view_statistics")
    page = f"{MESSAGES}{message.pk}/change/"
    assert "Hello" in text(client.get(page))
    assert 'value="withdraw"' not in text(client.get(page)) + text(client.get(MESSAGES))
    assert post(client, page, title="No").status_code == 403
    client.post(MESSAGES, {"action": "withdraw", "confirmed": "1", "_selected_action": message.pk})
    message.refresh_from_db()
    assert (message.title, message.withdraw_at) == ("Hello", None)


# ------------------------------------------------------------------- recipients and the log


def test_recipients_and_the_log_are_to_look_at(admin, people):
    message = send("Hello", to=[people.alice])
    recipient = message.recipients.get()
    listed = text(admin.get("/admin/notifications/recipient/", {"message": message.pk}))
    assert "alice" in listed
    assert "published" in text(admin.get("/admin/notifications/change/"))
    for model, pk in [("recipient", recipient.pk), ("change", 1)]:
        base = f"/admin/notifications/{model}/"
        assert admin.get(f"{base}add/").status_code == 403
        assert admin.post(f"{base}{pk}/change/", {"via": "group"}).status_code == 403
        assert admin.post(f"{base}{pk}/delete/", {"post": "yes"}).status_code == 403
        admin.post(base, {"action": "delete_selected", "_selected_action": pk, "post": "yes"})
    assert Recipient.objects.count() == Change.objects.count() == 1


def test_an_account_with_messages_can_be_deleted(admin, people):
    send("Hello", to=[people.alice])
    admin.post(f"/admin/auth/user/{people.alice.pk}/delete/", {"post": "yes"})
    assert not Recipient.objects.exists()
    assert not type(people.alice).objects.filter(username="alice").exists()


def test_the_zone_of_the_times_is_said(admin, settings):
    settings.TIME_ZONE = "Asia/Shanghai"
    message = send("Hello", to=EVERYONE)
    for page in (ADD, f"{MESSAGES}{message.pk}/change/"):
        assert "Times are in Asia/Shanghai." in text(admin.get(page))


@pytest.mark.parametrize("path", [ADD, MESSAGES])
def test_the_pages_keep_the_sites_policy(admin, path):
    page = admin.get(path).content.decode()
    assert not re.search(r"<style|<script(?![^>]* src=)|\sstyle=|\son\w+=", page)
