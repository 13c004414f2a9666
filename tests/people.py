"""Alice and Bob read, Root rules; whoever is none of them is a stranger."""

from typing import Any, NamedTuple

from django.contrib.auth import get_user_model
from django.contrib.auth.hashers import PBKDF2PasswordHasher

from notifications import inbox

PASSWORD = "correct horse"
# One round instead of a million: real enough to log in with, and it costs nothing.
HASH = PBKDF2PasswordHasher().encode(PASSWORD, "salt", iterations=1)


class People(NamedTuple):
    alice: Any
    bob: Any
    root: Any  # superuser


def meet() -> People:
    return People(person("alice"), person("bob"), person("root", is_staff=True, is_superuser=True))


def person(name: str, **attributes: Any) -> Any:
    """A new account that can log in with PASSWORD."""
    return get_user_model().objects.create(username=name, password=HASH, **attributes)


def crowd(size: int) -> list[Any]:
    """Many plain accounts at once."""
    user_model = get_user_model()
    return user_model.objects.bulk_create(
        user_model(username=f"reader{n}", password=HASH) for n in range(size)
    )


def titles(user: Any) -> list[str]:
    """Of the messages in the list of `user`."""
    return [item.message.title for item in inbox.listing(user).items]
