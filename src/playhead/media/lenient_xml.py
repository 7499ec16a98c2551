"""Reads XML that is not well-formed, as people and programs write it into NFO files.

A stray `&`, HTML entities, markup inside a plot, tags that overlap or are never closed, a file that ends too early.
Only the entities of XML and HTML mean anything, and each is one character: nothing declared is ever expanded.
"""

import html
import re
import xml.etree.ElementTree as ET
from collections.abc import Collection
from typing import Final

# Each '<' is examined once, up to the next one: the time is linear in the length of the text.
_TAG: Final = re.compile(r"<(?P<end>/?)(?P<name>[A-Za-z_][\w:.-]{0,60})(?P<attributes>(?:[\s/][^<>]*)?)>")
_ATTRIBUTE: Final = re.compile(r"""([A-Za-z_][\w:.-]{0,60})\s{0,9}=\s{0,9}(?:"([^"]*)"|'([^']*)'|([^\s"'/]+))""")
_NO_TEXT: Final = (("<!--", "-->"), ("<?", "?>"))
_CDATA: Final = ("<![CDATA[", "]]>")

_DEPTH_MAX: Final = 20
"""Deeper elements are not distinguished; typical files have a depth of six."""


def read_tree(text: str, fields: Collection[str], groups: Collection[str]) -> ET.Element | None:
    """Return the first element of a text with its content, names in lower case; None if there is none.

    `fields` are the elements that stand directly below the root: one that was left open ends where the next field
    begins. Inside `groups`, such as an actor, elements of the same names mean something else. What is still open at
    the end of the text is left out: it may have been cut in the middle of a word. Never raises.
    """
    for begin, end in _NO_TEXT:
        text = _replaced(text, begin, end, escape=False)
    text = _replaced(text, *_CDATA, escape=True)
    builder = _Builder(fields, groups)
    at = 0
    for tag in _TAG.finditer(text):
        builder.add_text(text[at : tag.start()])
        at = tag.end()
        if tag["end"]:
            builder.close(tag["name"].lower())
        else:
            builder.open(tag["name"].lower(), tag["attributes"])
        if builder.is_complete:
            break
    return builder.root


def _replaced(text: str, begin: str, end: str, *, escape: bool) -> str:
    """Return the text without the parts between two marks or, with `escape`, with them as plain text."""
    pieces: list[str] = []
    at = 0
    while (start := text.find(begin, at)) >= 0 and (stop := text.find(end, start)) >= 0:
        pieces.append(text[at:start])
        if escape:
            pieces.append(html.escape(text[start + len(begin) : stop]))
        at = stop + len(end)
    return "".join([*pieces, text[at:]])


class _Builder:
    """The elements that are open, the root first, each with the pieces of its text."""

    def __init__(self, fields: Collection[str], groups: Collection[str]) -> None:
        self.root: ET.Element | None = None
        self.is_complete = False
        self._fields = fields
        self._groups = groups
        self._open: list[tuple[ET.Element, list[str]]] = []

    def add_text(self, text: str) -> None:
        for _, pieces in self._open[1:]:  # what stands in <b> belongs to the title around it, too
            pieces.append(text)

    def open(self, name: str, attributes: str) -> None:
        if name in self._fields and not any(element.tag in self._groups for element, _ in self._open):
            self._end_all_below(1)
        if len(self._open) >= _DEPTH_MAX:
            return
        element = ET.Element(name, _attributes(attributes))
        self.root = element if self.root is None else self.root
        self._open.append((element, []))
        if attributes.endswith("/"):
            self.close(name)

    def close(self, name: str) -> None:
        names = [element.tag for element, _ in self._open]
        if name in names:
            self._end_all_below(len(names) - 1 - names[::-1].index(name))
            self.is_complete = not self._open

    def _end_all_below(self, depth: int) -> None:
        while len(self._open) > depth:
            element, pieces = self._open.pop()
            element.text = html.unescape("".join(pieces))
            if self._open:
                self._open[-1][0].append(element)


def _attributes(text: str) -> dict[str, str]:
    found = _ATTRIBUTE.findall(text[:2000])
    return {name: html.unescape(double or single or bare) for name, double, single, bare in found}
