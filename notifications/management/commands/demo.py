"""People and messages to look at, on a database that has nobody in it yet."""

from datetime import timedelta
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.core.management.base import BaseCommand, CommandError
from django.db import transaction
from django.utils import timezone

from notifications import EVERYONE, send

PEOPLE = {"alice": "in the group crew", "bob": "in no group", "root": "staff: may open /admin/"}


def password_of(name: str) -> str:
    return f"{name}-demo"


class Command(BaseCommand):
    help = "Makes alice, bob and root, and sends them messages. Only with DEBUG, and only once."

    def handle(self, *args: Any, **options: Any) -> None:
        if not settings.DEBUG:
            raise CommandError("The demo's passwords are known to everybody: it needs DEBUG=1.")
        if get_user_model().objects.exists():
            self.stdout.write("The demo is already there.")
        else:
            # All or nothing: whatever interrupts it, the next call finds an empty database again.
            with transaction.atomic():
                send_messages(*make_people())
        self.write_people()

    def write_people(self) -> None:
        users = get_user_model().objects.filter(username__in=PEOPLE)
        for name in sorted(user.get_username() for user in users):
            self.stdout.write(f"  {name:<8}password {password_of(name):<12}{PEOPLE[name]}")


def make_people() -> tuple[Any, Any, Group]:
    people = get_user_model().objects
    alice = people.create_user("alice", password=password_of("alice"))
    bob = people.create_user("bob", password=password_of("bob"))
    people.create_superuser("root", password=password_of("root"))
    crew = Group.objects.create(name="crew")
    crew.user_set.add(alice)
    return alice, bob, crew


def send_messages(alice: Any, bob: Any, crew: Group) -> None:
    now = timezone.now()
    send(
        "Welcome to the message center",
        to=EVERYONE,
        body="Messages arrive here *while you watch*. Open this page twice, send one from the "
        "administration, and see both change.",
    )
    send(
        "欢迎使用消息中心",
        to=EVERYONE,
        body="新消息会**实时**出现在这里，无需刷新页面。页面底部可以切换语言。",
    )
    send(
        "Your parcel is here",
        to=[alice],
        body="Shelf **4**, until Friday:\n\n- bring the code\n- ring twice",
        level="success",
        link="/messages/",
    )
    send(
        "Your card was not accepted",
        to=[bob],
        body="The last payment failed. Please check the card's date.",
        level="error",
        link="/messages/",
    )
    send(
        "Maintenance tonight at 22:00",
        to=[crew],
        body="The service is read-only for about ten minutes.\n\n"
        "1. Save your work.\n2. Have a tea.\n3. Come back: `Last-Event-ID` remembers for you.",
        level="warning",
        expires=now + timedelta(days=1),
    )
    send(
        "You have been here for a minute",
        to=EVERYONE,
        body="This one was scheduled, and arrived by itself.",
        at=now + timedelta(minutes=1),
    )
