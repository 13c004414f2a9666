"""What browsers are served in production: small, whole, and of one version."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from django.contrib.staticfiles.storage import StaticFilesStorage

from config.storage import KINDS, WHOLE, StaticFiles, smaller, whole
from notifications import asend
from tests.chromium import needs_chromium, readers
from tests.listener import TELLING, Listener, streams

NODE = shutil.which("node")
needs_node = pytest.mark.skipif(NODE is None, reason="Node is not installed")
HASHED = re.compile(r"\.[0-9a-f]{12}\.")
IMPORT = re.compile(r"""\b(?:from|import)\s*\(?["'](\.[^"']+)["']""")

MODERN = {
    "new.js": """
        import { one } from "./one.js";
        /** A comment. */
        export class New extends HTMLElement {
            static #count = 1_000;
            #private = null;
            get #value() { return this.#private ?? one?.two; }
            async *all() { for await (const each of this.#value) yield `${each}…`; }
        }
        export { two } from "./one.js";
        import "./one.js";
    """,
    "new.css": """
        /* A comment. */
        :root { --canvas: light-dark(#f6f7f9, #101216); }
        @starting-style { .menu:popover-open { opacity: 0; } }
        ul:not(:has(> :not([hidden]))) { inline-size: calc(100% - 1rem); }
        .icon::before { content: "i" / ""; color: color-mix(in srgb, var(--ink) 14%, transparent); }
        @media (min-width: 36rem) and (prefers-reduced-motion: no-preference) {
            .menu { transition: opacity 120ms, display 120ms allow-discrete; }
        }
        @supports not (anchor-name: --bell) { .menu { position: fixed; } }
    """,
}


def served(folder: Path, kind: str) -> list[Path]:
    """Our own files of that kind, under the names that pages use."""
    ours = [*folder.glob(f"*{kind}"), *folder.glob(f"notifications/*{kind}")]
    return [path for path in ours if HASHED.search(path.name)]


@needs_node
def test_scripts_are_whole_and_import_what_belongs_to_them(production, tmp_path):
    scripts = served(Path(production["STATIC_ROOT"]), ".js")
    assert scripts
    for script in scripts:
        text = script.read_text()
        for name in IMPORT.findall(text):
            assert HASHED.search(name), f"{script.name} imports {name}, of whatever version"
            assert (script.parent / name).exists()
        module = tmp_path / f"{script.stem}.mjs"
        module.write_text(text)
        subprocess.run([str(NODE), "--check", module], check=True)


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_served_is_smaller_than_what_is_written(production, kind):
    folder = Path(production["STATIC_ROOT"])
    for file in served(folder, kind):
        written = file.with_name(HASHED.sub(".", file.name)).stat().st_size
        if (name := f"{file.parent.name}/{HASHED.sub('.', file.name)}") in WHOLE:
            written = len(whole(name, lambda each: (folder / each).read_text()))
        assert file.stat().st_size < 0.9 * written
        # What is tiny does not get smaller by it.
        assert file.with_name(f"{file.name}.gz").exists() or written < 500


@needs_node
def test_what_is_new_in_the_languages_stays_as_it_is(tmp_path):
    small = {
        name: smaller(name, KINDS[Path(name).suffix], text.encode()).decode()
        for name, text in MODERN.items()
    }
    assert "comment" not in "".join(small.values())
    for part in ("static#", "??", "?.", "for await", "yield", "…", 'import"./one.js";'):
        assert part in small["new.js"]
    module = tmp_path / "new.mjs"
    module.write_text(small["new.js"])
    subprocess.run([str(NODE), "--check", module], check=True)
    for part in (
        "light-dark(#f6f7f9",
        "@starting-style{",
        ".menu:popover-open",
        ":not(:has(>:not([hidden])))",
        "calc(100% - 1rem)",
        "color-mix(in srgb,var(--ink) 14%,transparent)",
        "allow-discrete",
        "@supports not (anchor-name:--bell)",
        '"i"/""',
    ):
        assert part in small["new.css"]


def test_a_module_can_have_in_it_all_that_it_imports_once_and_in_order():
    two = 'import { two } from "./two.js";\n'
    texts = {
        "app/all.js": f'import "./one.js";\n{two}export const all = 3;\n',
        "app/one.js": f"{two}const one = two + 1;\nlog(one);\n",
        "app/two.js": "export const two = 2;\n",
    }
    text = whole("app/all.js", texts.__getitem__)
    assert not IMPORT.search(text)
    assert text.count("two = 2") == 1
    assert text.index("two = 2") < text.index("one = two") < text.index("all = 3")
    assert text.startswith("export const { all } = (")


def test_numbers_and_texts_stand_where_their_module_names_them():
    texts = {
        "all.js": 'import "./one.js";\nconst LATE = "then";\nfor (const each of LATE) log(LATE);\n',
        "one.js": "const LATE = 1_000; // ms\nconst PACE = 0.75;\nlog(LATE * PACE);\n",
    }
    text = whole("all.js", texts.__getitem__)
    assert text.index("log(1_000 * 0.75)") < text.index('of "then") log("then")')
    assert "LATE" not in text


def test_names_that_are_there_twice_leave_a_module_as_it_is(caplog):
    """Its imports work as ever; in one scope with them it would not."""
    texts = {"all.js": 'import "./one.js";\nlet name = 1;\n', "one.js": "let name = 2;\n"}
    content = texts["all.js"].encode()
    in_one = smaller("all.js", KINDS[".js"], content, lambda path: whole(path, texts.__getitem__))
    assert in_one == content
    assert "already been declared" in caplog.text


@pytest.mark.parametrize("content", [b"class {", b"let a = '\xff'"])
def test_a_file_that_cannot_be_made_smaller_is_served_as_it_is(caplog, content):
    assert smaller("odd.js", KINDS[".js"], content) == content
    assert "odd.js is not made smaller" in caplog.text


def test_a_file_is_named_after_what_is_served(tmp_path, settings):
    """A hash of the source would stay when a new minifier changes what browsers keep for ever."""
    settings.STATIC_ROOT = tmp_path
    (tmp_path / "one.js").write_text("export const one = 1; // one\n")
    (tmp_path / "two.js").write_text('import { one } from "./one.js";\none();\n')
    storage, written = StaticFiles(tmp_path), StaticFilesStorage(tmp_path)
    list(storage.post_process({name: (written, name) for name in ("one.js", "two.js")}))
    for name in ("one.js", "two.js"):
        hashed = storage.stored_name(name)
        with storage.open(hashed) as file:
            assert storage.hashed_name(name, file) == hashed


@needs_chromium
@pytest.mark.asyncio(loop_scope="session")
@pytest.mark.only("sqlite")
async def test_the_message_center_lives_on_what_is_served(people, chromium, servers, production):
    server = servers("daphne", **production)
    async for reader in readers(chromium, server):
        alice = await reader(people.alice, extra_http_headers={"X-Forwarded-Proto": "https"})
        await asend("live", to=[people.alice])
        await alice.sees(live=False)
        scripts = await alice.page.evaluate(
            "performance.getEntriesByType('resource').map((each) => each.name)"
            ".filter((name) => name.endsWith('.js') || name.endsWith('.css'))"
        )
        assert all(HASHED.search(name) for name in scripts)
        assert len([name for name in scripts if "/notifications/messages." in name]) == 1
        assert len([name for name in scripts if name.endswith(".js")]) == 1


@pytest.fixture
def connect(production: dict[str, str]) -> str:
    """The name of that module."""
    (path,) = Path(production["STATIC_ROOT"]).glob("notifications/connect.????????????.js")
    return path.name


@needs_chromium
@pytest.mark.asyncio(loop_scope="session")
@pytest.mark.only("sqlite")
async def test_a_script_of_the_pages_own_shares_the_stream_of_our_elements(
    people, chromium, servers, production, connect
):
    """Though both have `connect` in them; and not by way of locks, as between tabs."""
    server = servers("daphne", application=TELLING, **production)
    async for reader in readers(chromium, server):
        alice = await reader(
            people.alice, path=None, extra_http_headers={"X-Forwarded-Proto": "https"}
        )
        await alice.context.add_init_script("delete Navigator.prototype.locks")
        await alice.open()
        await alice.is_live()
        own = Listener(alice, alice.page)
        await own.connect(f"/static/notifications/{connect}")
        await own.is_told("live")
        await asend("psst", to=[people.alice])
        await own.hears("psst")
        await alice.sees(psst=False)
        assert streams(server) == 1
