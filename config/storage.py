"""Where static files go when they are collected."""

from servestatic.storage import CompressedManifestStaticFilesStorage


class StaticFiles(CompressedManifestStaticFilesStorage):
    """Under hashed names, compressed; and ES modules import each other by those names too, or
    a browser would mix the modules of two versions after a deploy."""

    support_js_module_import_aggregation = True
