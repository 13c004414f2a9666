"""Where static files go when they are collected."""

import logging
import re
from collections.abc import Callable, Iterator
from posixpath import dirname, join
from typing import Any

import minify
from django.core.files.base import ContentFile, File
from servestatic.storage import CompressedManifestStaticFilesStorage

logger = logging.getLogger(__name__)

KINDS = {".js": "application/javascript", ".css": "text/css"}
THEIRS = ("admin/",)  # Django's own files stay as their authors tested them
# Modules that have all in them that they import: one request instead of a dozen, one after the
# other, and nothing compresses as well as what is of one piece.
WHOLE = ("notifications/messages.js", "notifications/connect.js")

IMPORT = re.compile(r'^import (?:[^"]* from )?"\./([^"]+)";$', re.MULTILINE)
EXPORT = re.compile(r"^export (?=const (\w+))", re.MULTILINE)
VALUE = re.compile(r"""^const ([A-Z_]+) = ([\d_.]+|"[^"]*");""", re.MULTILINE)
NAME = re.compile(r"\b[A-Z_]+\b")
CONST = re.compile(r"(^\s*|\()const\b", re.MULTILINE)


class StaticFiles(CompressedManifestStaticFilesStorage):
    """Small, compressed, and under hashed names; and ES modules import each other by those names
    too, or a browser would mix the modules of two versions after a deploy."""

    support_js_module_import_aggregation = True

    def post_process(self, paths: dict[str, Any], *args: Any, **options: Any) -> Iterator[Any]:
        """As ever, but of smaller sources: so names are hashed from what is served."""
        small = {name: (Small(storage), path) for name, (storage, path) in paths.items()}
        yield from super().post_process(small, *args, **options)


class Small:
    """A storage whose scripts and styles are read without comments and spaces."""

    def __init__(self, storage: Any) -> None:
        self._storage = storage

    def open(self, path: str) -> File:
        kind = KINDS.get(path[path.rfind(".") :])
        if kind is None or path.startswith(THEIRS):
            return self._storage.open(path)
        content = self._read(path)
        whole_of = self._whole if path in WHOLE else None
        return ContentFile(smaller(path, kind, content, whole_of))

    def _whole(self, path: str) -> str:
        return whole(path, lambda other: self._read(other).decode())

    def _read(self, path: str) -> bytes:
        with self._storage.open(path) as file:
            content: bytes = file.read()
        return content


def smaller(
    path: str, kind: str, content: bytes, whole_of: Callable[[str], str] | None = None
) -> bytes:
    """`content` minified. A file that cannot be is served as it is: no reason to stop a deploy."""
    try:
        small = minify.string(kind, whole_of(path) if whole_of else content.decode())
    except ValueError as error:  # what is no UTF-8 is a ValueError, too
        logger.warning("%s is not made smaller: %s", path, error)
        return content
    # Django knows an import by its semicolon, and the last one of a file has just lost it.
    return f"{small};\n".encode() if kind == KINDS[".js"] else small.encode()


def whole(path: str, read: Callable[[str], str]) -> str:
    """The module at `path` and before it, once, each that it imports, all in one scope.

    What they call their own at the top must differ from one to the other: the minifier refuses a
    name that is declared twice. They export what is `const`, by its name.
    """
    texts: dict[str, str] = {}

    def take(name: str) -> None:
        if name not in texts:
            texts[name] = ""  # it is on its way
            text = read(name)
            for other in IMPORT.findall(text):
                take(join(dirname(name), other))
            del texts[name]  # dictionaries are in order: after those it needs
            texts[name] = IMPORT.sub("", with_values(text))

    take(path)
    names = ", ".join(EXPORT.findall(texts[path]))
    inside = "\n".join(EXPORT.sub("", text) for text in texts.values())
    inside = CONST.sub(r"\1let", inside)  # shorter, and the same for what does not assign to it
    if names:
        return f"export const {{ {names} }} = (() => {{\n{inside}\nreturn {{ {names} }};\n}})()"
    return f"(() => {{\n{inside}\n}})()"


def with_values(text: str) -> str:
    """A module with its numbers and texts where it names them, which is shorter."""
    values = dict(VALUE.findall(text))
    return NAME.sub(lambda name: values.get(name[0], name[0]), VALUE.sub("", text))
