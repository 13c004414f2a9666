"""Staff type names, also thousands of them; the database finds whom they mean."""

import uuid

import pytest
from django.contrib.auth.models import Group
from django.core.exceptions import ValidationError
from django.db import connection, models
from django.db.models import Value

from notifications.batches import PARAMETERS, one_of
from notifications.staff import names
from tests.people import crowd, person

pytestmark = pytest.mark.django_db

HOSTILE = [
    "o'hara", 'say "hi"', "back\\slash", "{a,b}", "[1]", "NULL", "%s", "$1", "\\N", "'; --",
    "two words", "tab\there", "王小明", "🦉", "ﷺ",
]  # fmt: skip


def test_names_are_found_as_they_are_whatever_is_in_them():
    everybody = {name: person(name).pk for name in HOSTILE}
    assert names.users(HOSTILE) == everybody
    assert names.accounts(HOSTILE) == (everybody, [])
    assert list(names.users(reversed(HOSTILE))) == HOSTILE[::-1]
    groups = [Group.objects.create(name=name) for name in HOSTILE]
    assert names.groups(HOSTILE) == groups


@pytest.mark.parametrize("typed", ["x" * 151, "x" * 149, "X" * 150, "x" * 10_000])
def test_a_name_means_nobody_else_for_its_length_or_its_case(typed):
    person("x" * 150)
    with pytest.raises(ValidationError, match=f"There is no user '{typed}'."):
        names.users([typed])


def test_an_address_is_one_persons_whatever_its_case():
    alice, _, _ = (person(name, email=f"{name[0]}@Example.com") for name in ("al", "bo", "ben"))
    assert names.accounts(["A@example.COM", "b@example.com"]) == (
        {"al": alice.pk}, ["b@example.com"],
    )  # fmt: skip


def test_thousands_of_names_are_found_by_few_statements(django_assert_num_queries):
    many = [user.username for user in crowd(3_000)]
    at_once = connection.vendor in ("postgresql", "sqlite")
    with django_assert_num_queries(1 if at_once else 3_000 // PARAMETERS):
        assert list(names.users(many)) == many
    with django_assert_num_queries(0):
        assert names.users([]) == {}


@pytest.mark.parametrize(
    ("field", "value", "another"),
    [
        (models.UUIDField(), uuid.UUID(int=1), uuid.UUID(int=2)),
        (models.BigAutoField(), 2**40, 1),
        (models.CharField(max_length=3), "abcdef", "abc"),
        (models.EmailField(), "a@b.c", "a@b.d"),
    ],
    ids=lambda what: type(what).__name__,
)
def test_accounts_may_have_keys_and_names_of_any_kind(field, value, another):
    rows = Group.objects.annotate(said=Value(value, field))
    Group.objects.create()
    (these,) = one_of([another, value], field, "said")
    assert rows.filter(these).exists()
    (others,) = one_of([another], field, "said")
    assert not rows.filter(others).exists()
