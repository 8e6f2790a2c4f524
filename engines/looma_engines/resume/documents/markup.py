"""HTML by selectolax (Lexbor): blocks become lines, list items get bullets, cells get tabs.

Scripts, styles and what is hidden are left out. The tree is walked without recursion, since a
hostile page may nest as deeply as it likes.
"""

from __future__ import annotations

import re
from typing import Final

from selectolax.lexbor import LexborHTMLParser, LexborNode

from looma_engines.resume.documents.model import RawLine
from looma_engines.resume.documents.plain import decode

_SKIPPED: Final = frozenset(
    {
        "script",
        "style",
        "noscript",
        "template",
        "svg",
        "head",
        "iframe",
        "object",
        "button",
        "select",
        "textarea",
    }
)
_BLOCKS: Final = frozenset(
    [
        "address",
        "article",
        "aside",
        "blockquote",
        "body",
        "dd",
        "details",
        "div",
        "dl",
        "dt",
        "fieldset",
        "figure",
        "figcaption",
        "footer",
        "form",
        "h1",
        "h2",
        "h3",
        "h4",
        "h5",
        "h6",
        "header",
        "hr",
        "html",
        "li",
        "main",
        "nav",
        "ol",
        "p",
        "pre",
        "section",
        "table",
        "tbody",
        "thead",
        "tfoot",
        "tr",
        "ul",
        "summary",
        "center",
    ]
)
_HEADINGS: Final = frozenset({"h1", "h2", "h3", "h4", "h5", "h6"})
_PARAGRAPHS: Final = frozenset({"p", "section", "table", "ul", "ol", *_HEADINGS})
_BOLD: Final = frozenset({"b", "strong", "th", *_HEADINGS})
_SPACE: Final = re.compile(r"\s+")
_HIDDEN: Final = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden", re.IGNORECASE)
_CHARSET: Final = re.compile(rb"<meta[^>]+charset\s*=\s*[\"']?\s*([\w-]+)", re.IGNORECASE)


def read(data: bytes) -> tuple[list[RawLine], list[str]]:
    """Lines in document order and the targets of links."""
    declared = _CHARSET.search(data[:4096])
    text = decode(data, declared=declared.group(1).decode("ascii") if declared else None)
    root = LexborHTMLParser(text).body
    if root is None:
        return [], []
    builder = _Lines()
    # (node, leaving): a node is met twice, so that its end can break the line.
    stack: list[tuple[LexborNode, bool]] = [(root, False)]
    while stack:
        node, leaving = stack.pop()
        tag = node.tag or ""
        if leaving:
            builder.leave(tag)
            continue
        if tag == "-text":
            builder.text(node.text_content or "")
            continue
        if tag in _SKIPPED or tag.startswith(("-", "!", "#")) or _is_hidden(node):
            continue
        builder.enter(tag, node)
        stack.append((node, True))
        children: list[LexborNode] = []
        child = node.child
        while child is not None:
            children.append(child)
            child = child.next
        stack.extend((item, False) for item in reversed(children))
    builder.flush()
    return builder.lines, builder.links


def _is_hidden(node: LexborNode) -> bool:
    attributes = node.attributes
    return "hidden" in attributes or bool(_HIDDEN.search(attributes.get("style") or ""))


class _Lines:
    """Collects text until a block begins or ends."""

    def __init__(self) -> None:
        self.lines: list[RawLine] = []
        self.links: list[str] = []
        self._pieces: list[str] = []
        self._bold = 0
        self._bold_letters = 0
        self._letters = 0
        self._heading = False

    def text(self, text: str) -> None:
        text = _SPACE.sub(" ", text)
        self._pieces.append(text)
        visible = len(text.strip())
        self._letters += visible
        self._bold_letters += visible if self._bold else 0

    def enter(self, tag: str, node: LexborNode) -> None:
        if tag == "br":
            self.flush()
        if tag in _BLOCKS:
            self.flush()
        if tag in ("td", "th") and "".join(self._pieces).strip():
            self._pieces.append("\t")
        if tag == "li":
            # The mark of an item that only opens a list within is not said twice.
            self._pieces = ["• "]
        if tag in _HEADINGS:
            self._heading = True
        if tag in _BOLD:
            self._bold += 1
        if tag == "a":
            target = (node.attributes.get("href") or "").strip()
            if target.startswith(("http://", "https://", "mailto:", "tel:")):
                self.links.append(target)

    def leave(self, tag: str) -> None:
        if tag in _BLOCKS:
            self.flush()
        if tag == "li":
            # An empty item leaves its mark behind.
            self._pieces = []
        if tag in _PARAGRAPHS:
            self.lines.append(RawLine(text=""))
        if tag in _HEADINGS:
            self._heading = False
        if tag in _BOLD:
            self._bold -= 1

    def flush(self) -> None:
        text = "".join(self._pieces).strip(" ")
        if text.strip(" •\t"):
            self.lines.append(
                RawLine(
                    text=text, bold=self._bold_letters > 0.6 * max(self._letters, 1), heading=self._heading
                )
            )
            self._pieces = []
        elif not text:
            self._pieces = []
        self._letters = self._bold_letters = 0
