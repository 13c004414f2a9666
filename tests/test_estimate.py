"""Where counting an audience takes long, a part of it says about how many they are."""

import re
import uuid

import pytest
from django.contrib.auth.models import Group, User
from django.db import models
from django.http import QueryDict

from notifications.audience import Audience
from notifications.staff import estimate
from tests.composer import MESSAGES, staff
from tests.people import crowd, person
from tests.staff import words

pytestmark = pytest.mark.django_db


@pytest.fixture
def root(people):
    return staff("send_to_everyone", "send_to_groups", "send_to_users", "view_user")[1]


def group(name, *users):
    one = Group.objects.create(name=name)
    one.user_set.add(*users)
    return one


def estimated(composer, **fields):
    return composer.client.post(f"{MESSAGES}audience-estimate/", {"whom": "named", **fields})


def about(composer, **fields):
    """How many people it says that they are, about."""
    response = estimated(composer, **fields)
    assert response.status_code == 200
    return int(
        re.match(r"about ([\d,]+) people · still counting ", words(response))[1].replace(",", "")
    )


def test_an_estimate_is_near_and_has_two_digits(root, monkeypatch):
    many = crowd(3_000)
    large, half = group("large", *many), group("half", *many[::2])
    monkeypatch.setattr(estimate, "KEYS", 2_000)
    # A dozen standard deviations of what is drawn, and more, beyond the rounding.
    for fields, people, margin in [
        ({"whom": "everyone"}, User.objects.count(), 0.05),
        ({"groups": large.pk}, 3_000, 0.05),
        ({"groups": large.pk, "but_groups": half.pk}, 1_500, 0.25),
        ({"whom": "everyone", "but_groups": half.pk}, 1_500, 0.25),
    ]:
        said = about(root, **fields)
        assert said == pytest.approx(people, rel=margin)
        assert said % 100 == 0


def test_where_all_accounts_are_looked_at_it_is_but_rounded(root):
    many = crowd(457)
    large, some = group("large", *many), group("some", *many[:100])
    named = ",".join(user.username for user in many[50:150])
    alike = {"groups": large.pk, "but_groups": some.pk}
    assert about(root, **alike) == 360  # 357
    assert about(root, groups=large.pk, but_usernames=named) == 360  # 357
    assert about(root, groups=some.pk, usernames=named) == 150  # 150
    assert about(root, **alike, usernames=named) == 360  # nobody who is left out gets it
    assert about(root, usernames=named) == 100


def test_of_thousands_of_names_it_looks_some_up(root):
    many = crowd(1_450)
    large = group("large", *many[:400])
    named = "\n".join(user.username for user in many)
    # The group's 400, by lot; and 1,050 beside it, of whom 210 are looked up.
    assert about(root, groups=large.pk, usernames=named) == pytest.approx(1_450, rel=0.1)
    some, weights = estimate.thinned(_posted(usernames=named, but_usernames="a, b,"))
    assert len(some["usernames"].split()) == 290
    assert weights == {"usernames": 5, "but_usernames": 1}
    assert estimate.thinned(_posted())[1] == {"usernames": 1, "but_usernames": 1}


def _posted(**fields):
    data = QueryDict(mutable=True)
    data.update(fields)
    return data


def test_of_few_it_says_one_digit_and_of_very_few_nothing_rather_than_guess(root, monkeypatch):
    many = crowd(3_000)
    some, few = group("some", *many[:300]), group("few", *many[300:303])
    monkeypatch.setattr(estimate, "KEYS", 600)
    # Some 60 of those who are drawn: all but surely between 20 and 120.
    assert about(root, groups=some.pk) in range(100, 700, 100)
    monkeypatch.setattr(estimate, "KEYS", 100)
    assert estimated(root, groups=few.pk).status_code == 204
    named = ",".join(user.username for user in many[1_000:1_060])
    assert estimated(root, groups=few.pk, usernames=named).status_code == 204
    monkeypatch.setattr(estimate, "KEYS", 5_000)
    assert about(root, groups=few.pk) == 3
    assert about(root, groups=few.pk, usernames=named) == 63


def test_of_nobody_and_of_keys_with_large_gaps_it_says_nothing(root):
    many = crowd(150)
    everybody = group("everybody", *many)
    assert estimated(root, groups=everybody.pk, but_groups=everybody.pk).status_code == 204
    assert about(root, groups=everybody.pk) == 150
    person("later", pk=10**9)
    assert estimated(root, groups=everybody.pk).status_code == 204


@pytest.mark.parametrize(
    "fields",
    [{}, {"usernames": "zed"}, {"whom": "everyone", "but_usernames": "zed"}, {"whom": "x"}],
)
def test_of_what_is_wrong_it_says_nothing_for_the_count_says_what(root, fields):
    crowd(150)
    assert estimated(root, **fields).status_code == 204


def test_names_are_shown_to_whom_may_see_them(root):
    crowd(150)
    assert words(estimated(root, whom="everyone")).endswith(
        "alice , bob , root , clerk , reader0 , …"
    )
    _, other = staff("send_to_everyone", name="other")
    assert words(estimated(other, whom="everyone")).endswith("still counting")


def test_keys_that_are_no_numbers_cannot_be_drawn(people, monkeypatch):
    crowd(150)
    everyone = Audience(everyone=True)
    assert estimate.estimate(everyone, {}, by_name=False).people == 150
    key = models.UUIDField(default=uuid.uuid4)
    monkeypatch.setattr(User._meta, "pk", key)
    assert estimate.estimate(everyone, {}, by_name=False) is None


def test_it_is_asked_by_post(root):
    assert root.client.get(f"{MESSAGES}audience-estimate/").status_code == 405
