"""Where static files go when they are collected."""

import logging
from collections.abc import Iterator
from typing import Any

import minify
from django.core.files.base import ContentFile, File
from servestatic.storage import CompressedManifestStaticFilesStorage

logger = logging.getLogger(__name__)

KINDS = {".js": "application/javascript", ".css": "text/css"}
THEIRS = ("admin/",)  # Django's own files stay as their authors tested them


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
        file = self._storage.open(path)
        if kind is None or path.startswith(THEIRS):
            return file
        with file:
            return ContentFile(smaller(path, kind, file.read()))


def smaller(path: str, kind: str, content: bytes) -> bytes:
    """`content` minified. A file that cannot be is served as it is: no reason to stop a deploy."""
    try:
        small = minify.string(kind, content.decode())
    except ValueError as error:  # what is no UTF-8 is a ValueError, too
        logger.warning("%s is not made smaller: %s", path, error)
        return content
    # Django knows an import by its semicolon, and the last one of a file has just lost it.
    return f"{small};\n".encode() if kind == KINDS[".js"] else small.encode()
