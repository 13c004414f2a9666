"""Every word in every language: collected, translated, compiled."""

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from django.conf import settings

from tests.server import ROOT

# The app's own travel with it into other projects.
CATALOGS = [
    ROOT / f"{place}locale/zh_Hans/LC_MESSAGES/django.po" for place in ("", "notifications/")
]
SCRIPTS = sorted(ROOT.glob("notifications/static/notifications/*.js"))
MARK = re.compile(r"%\(\w+\)[a-z]|%[a-z]|\{\w+\}|<[^>]+>")
needs_gettext = pytest.mark.skipif(not shutil.which("xgettext"), reason="gettext is missing")


class Entry(NamedTuple):
    flags: str
    sources: list[str]  # singular, plural
    translations: list[str]

    @property
    def marks(self) -> set[str]:
        return set(MARK.findall(" ".join(self.sources)))


def entries(catalog: Path) -> Iterator[Entry]:
    """The entries of a .po file but its head, comments left out."""
    for block in catalog.read_text().split("\n\n")[1:]:
        flags = " ".join(re.findall(r"^#,(.*)$", block, re.MULTILINE))
        texts: dict[str, list[str]] = {"msgid": [], "msgstr": []}
        string = r'((?:\s*"(?:[^"\\]|\\.)*")+)'
        for keyword, quoted in re.findall(rf"^(msgid|msgstr)\S*{string}", block, re.MULTILINE):
            texts[keyword].append("".join(re.findall(r'"((?:[^"\\]|\\.)*)"', quoted)))
        yield Entry(flags, texts["msgid"], texts["msgstr"])


ENTRIES = [entry for catalog in CATALOGS for entry in entries(catalog)]


def test_the_languages_are_those_that_are_offered():
    assert [code for code, _ in settings.LANGUAGES] == ["en", "zh-hans"]
    for catalog in CATALOGS:
        assert [path.name for path in catalog.parents[2].iterdir()] == ["zh_Hans"]


def test_every_text_is_translated_and_no_translation_is_guessed(record_property):
    poor = [e.sources[0] for e in ENTRIES if "fuzzy" in e.flags or not all(e.translations)]
    assert len(ENTRIES) > 100
    record_property("texts untranslated", len(poor))
    assert poor == []


def test_what_is_put_into_a_text_is_put_into_its_translation():
    for entry in ENTRIES:
        for translation in entry.translations:
            assert set(MARK.findall(translation)) == entry.marks, entry.sources[0]


@needs_gettext
def test_every_text_of_the_code_is_collected(tmp_path):
    """As `make messages` would do it: then a new text cannot stay behind in English."""
    folders = ("config", "locale", "notifications", "templates")
    for folder in folders:
        shutil.copytree(ROOT / folder, tmp_path / folder)
    shutil.copy(ROOT / "manage.py", tmp_path)
    collect = "makemessages", "--locale", "zh_Hans", "--no-location", "--no-obsolete"
    subprocess.run(
        [sys.executable, "manage.py", *collect], cwd=tmp_path, check=True, capture_output=True
    )
    for catalog in CATALOGS:
        fresh = entries(tmp_path / catalog.relative_to(ROOT))
        assert sorted(e.sources for e in fresh) == sorted(e.sources for e in entries(catalog))


@needs_gettext
@pytest.mark.parametrize("catalog", CATALOGS, ids=["site", "app"])
def test_what_is_read_is_what_is_written(catalog, tmp_path):
    """The compiled catalog is in the repository, too: nobody needs gettext to run the site."""
    compiled = tmp_path / "django.mo"
    subprocess.run(["msgfmt", "--check-format", "-o", compiled, catalog], check=True)
    assert compiled.read_bytes() == catalog.with_suffix(".mo").read_bytes()


@pytest.mark.parametrize("script", SCRIPTS, ids=[path.name for path in SCRIPTS])
def test_scripts_hold_no_sentence(script):
    """What they say comes in attributes, from the server, which knows the language."""
    code = re.sub(r"/\*.*?\*/|//[^\n]*", "", script.read_text(), flags=re.DOTALL)
    texts = re.findall(r'"([^"\n]*)"|`([^`]*)`', code)
    sentence = re.compile(r"^[A-Z][a-z]+ [a-z]+|[a-z]{3,} [a-z]{2,} [a-z]{2,}")
    assert [text for pair in texts for text in pair if sentence.search(text)] == []
