"""The body of a message: a subset of Markdown in, safe HTML out."""

import nh3
from markdown_it import MarkdownIt

# No headings, images, tables or raw HTML: a message is a note, not a page.
_INLINE = ["newline", "escape", "entity", "emphasis", "strikethrough", "backticks"]
_LINKS = ["link", "autolink"]
_BLOCKS = ["list", "blockquote", "fence"]
_markdown = MarkdownIt("zero", {"breaks": True, "html": False})
_markdown.enable([*_INLINE, *_LINKS, *_BLOCKS])

_CLEAN = {
    "tags": {"p", "br", "strong", "em", "s", "code", "pre", "ul", "ol", "li", "blockquote", "a"},
    "attributes": {"a": {"href"}, "ol": {"start"}},
    "url_schemes": {"http", "https"},
    # What a reader follows learns neither where it came from nor a handle to our page.
    "link_rel": "noopener noreferrer nofollow",
}


def render(body: str) -> str:
    """`body`, Markdown as a person wrote it, as HTML that is safe to put into a page.

    markdown-it makes it, nh3 (ammonia) cleans it by an allow-list: two that would both have to
    fail for a script to get through.
    """
    return nh3.clean(_markdown.render(body), **_CLEAN).strip()  # type: ignore[arg-type]
