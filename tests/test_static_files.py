"""What browsers are served in production: small, whole, and of one version."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from django.contrib.staticfiles.storage import StaticFilesStorage

from config.storage import KINDS, StaticFiles, smaller
from notifications import asend
from tests.chromium import needs_chromium, readers

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
    for file in served(Path(production["STATIC_ROOT"]), kind):
        written = file.with_name(HASHED.sub(".", file.name))
        assert file.stat().st_size < 0.9 * written.stat().st_size
        assert file.with_name(f"{file.name}.gz").exists()


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
        assert scripts
        assert all(HASHED.search(name) for name in scripts)
