"""The site around the message center: its pages, their headers, logging in and out."""

import re

import pytest
from django.test import Client

pytestmark = pytest.mark.django_db

PAGES = "/", "/accounts/login/", "/nothing/here/"
DIRECTIVES = {
    "default-src 'self'",
    "base-uri 'self'",
    "form-action 'self'",
    "frame-ancestors 'none'",
    "object-src 'none'",
}


@pytest.mark.parametrize("path", [*PAGES, "/messages/", "/admin/"])
def test_every_page_forbids_what_is_inline_or_from_elsewhere(client, path):
    headers = client.get(path).headers
    assert set(headers["Content-Security-Policy"].split("; ")) == DIRECTIVES
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Referrer-Policy"] == "same-origin"


@pytest.mark.parametrize("path", PAGES)
def test_pages_keep_their_own_policy(client, path):
    page = client.get(path).content.decode()
    assert not re.search(r"<style|<script(?! src)|\sstyle=|\son\w+=", page)


async def test_static_files_come_from_the_same_server(async_client):
    response = await async_client.get("/static/site.css")
    assert response.status_code == 200
    assert response.headers["Content-Type"].startswith("text/css")
    response.close()


def test_the_reader_chooses_the_language(client):
    assert "消息中心" in client.get("/", headers={"accept-language": "zh-CN"}).content.decode()
    client.post("/i18n/setlang/", {"language": "zh-hans", "next": "/"})
    page = client.get("/").content.decode()
    assert '<html lang="zh-hans"' in page
    assert ">English</button>" in page  # each language by its own name, for those lost in another


def test_the_reader_chooses_the_theme(client):
    def page():
        return client.get("/").content.decode()

    assert "data-theme" not in page()  # as the device says
    answer = client.post("/theme/", {"theme": "dark", "next": "/accounts/login/"})
    assert answer.headers["Location"] == "/accounts/login/"
    assert 'data-theme="dark"' in page()
    client.post("/theme/", {"theme": ""})
    assert "data-theme" not in page()


@pytest.mark.parametrize("page", ["https://evil.example.com/", "//evil.example.com", ""])
def test_a_choice_of_theme_leads_nowhere_else_and_brings_nothing_into_the_page(client, page):
    answer = client.post("/theme/", {"theme": '"><script>', "next": page})
    assert answer.headers["Location"] == "/"
    assert "theme" not in answer.cookies or not answer.cookies["theme"].value
    client.cookies["theme"] = "sepia"
    assert "data-theme" not in client.get("/").content.decode()
    assert client.get("/theme/").status_code == 405


def test_logging_in_and_out(client, django_user_model):
    django_user_model.objects.create_user("alice", password="correct horse")
    wrong = client.post("/accounts/login/", {"username": "alice", "password": "wrong"})
    assert 'role="alert"' in wrong.content.decode()
    answer = client.post("/accounts/login/", {"username": "alice", "password": "correct horse"})
    assert answer.headers["Location"] == "/messages/"
    assert "alice" in client.get("/").content.decode()
    assert client.get("/accounts/logout/").status_code == 405  # a link must not log anybody out
    assert client.post("/accounts/logout/").headers["Location"] == "/"
    assert "alice" not in client.get("/").content.decode()


def test_only_listed_origins_may_read_with_cookies(client, settings):
    settings.CORS_ALLOWED_ORIGINS = ["https://www.example.com"]

    def preflight(path, origin):
        asked = {
            "origin": origin,
            "access-control-request-method": "GET",
            "access-control-request-headers": "last-event-id",
        }
        return client.options(path, headers=asked).headers

    ours = preflight("/messages/stream/", "https://www.example.com")
    assert ours["Access-Control-Allow-Origin"] == "https://www.example.com"
    assert ours["Access-Control-Allow-Credentials"] == "true"
    assert "last-event-id" in ours["Access-Control-Allow-Headers"]
    for path, origin in [
        ("/messages/stream/", "https://evil.example.com"),
        ("/admin/", "https://www.example.com"),
    ]:
        assert "Access-Control-Allow-Origin" not in preflight(path, origin)


def test_a_form_that_is_too_old_is_refused_on_a_page_of_ours():
    client = Client(enforce_csrf_checks=True, headers={"accept-language": "zh-CN"})
    response = client.post("/theme/", {"theme": "dark"})
    assert response.status_code == 403
    assert "未发送" in response.content.decode()
    assert not re.search(r"<style|\sstyle=", response.content.decode())
