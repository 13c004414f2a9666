"""Imports go one way. Who knows whom is written here once; everything else is a mistake."""

import ast
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import notifications

APP = Path(notifications.__file__).parent
# The core, from those who know nobody upwards: each imports from lines above its own. What is not
# named here is the edge (pages, staff, admin, checks, commands): it may know all of the core, and
# nobody in the core knows it.
LAYERS = [
    {"doorbell_polling"},
    {"doorbell_postgres", "doorbell_redis", "doorbell_sqlite"},
    {"batches", "cursor", "doorbell", "markup", "stepping", "threads"},
    {"models"},
    {"wire", "audience", "validation", "acts", "tally", "processes"},
    {"past", "log", "publishing", "inbox"},
    {"access", "look", "canary"},
    {"hub"},
    {"running", "stream"},
]
STAFF = {path.stem: path for path in APP.glob("staff/[a-z]*.py")}
MODULES = {path.stem: path for path in APP.glob("[a-z]*.py")} | STAFF
COMMANDS = {path.stem: path for path in APP.glob("management/commands/[a-z]*.py")}


def level(module: str) -> int:
    layers = (number for number, layer in enumerate(LAYERS) if module in layer)
    return next(layers, len(LAYERS))


def imports(path: Path) -> set[str]:
    """The app's own modules that a file imports, also in functions; not those for types alone."""
    return set(_imports(ast.parse(path.read_text())))


def _imports(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
        return
    if isinstance(node, ast.ImportFrom):
        module = ("notifications." if node.level else "") + (node.module or "")
        app, *names = [part for part in module.split(".") if part and part != "staff"]
        if app == "notifications":
            yield from names[:1] or (each.name for each in node.names)
    for child in ast.iter_child_nodes(node):
        yield from _imports(child)


@pytest.mark.parametrize("module", sorted(set().union(*LAYERS)))
def test_a_module_imports_only_from_layers_below_its_own(module):
    above = {each for each in imports(MODULES[module]) if level(each) >= level(module)}
    assert not above


def test_no_imports_go_in_circles():
    known = {name: imports(path) for name, path in (MODULES | COMMANDS).items()}
    tuple(TopologicalSorter(known).static_order())  # raises CycleError, which names the circle


def test_nobody_imports_the_views_but_the_urls():
    known = {name: imports(path) for name, path in (MODULES | COMMANDS).items()}
    assert {name for name in known if "views" in known[name]} == {"urls"}
    assert {name for name in known if "streaming" in known[name]} == {"urls", "handler"}
