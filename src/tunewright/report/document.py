"""A document in two languages, of plain blocks: the card and the evidence pack, as Markdown and as a page."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from tunewright.report.html import environment
from tunewright.report.words import Pair


@dataclass(frozen=True)
class Text:
    """A paragraph; ``strong`` stands before it, ``missing`` says that nothing is known here."""

    said: Pair
    strong: Pair | None = None
    missing: bool = False
    form: ClassVar[str] = "text"


@dataclass(frozen=True)
class Facts:
    """Names and values."""

    rows: tuple[tuple[Pair, Pair], ...]
    form: ClassVar[str] = "facts"


@dataclass(frozen=True)
class Table:
    """Cells under columns."""

    columns: tuple[Pair, ...]
    rows: tuple[tuple[Pair, ...], ...]
    form: ClassVar[str] = "table"


Block = Text | Facts | Table


@dataclass(frozen=True)
class Part:
    """A heading and what stands under it."""

    title: Pair
    blocks: Sequence[Block]


@dataclass(frozen=True)
class Document:
    """title : on its top; kind : what it is, such as "Model card"; lead : before the first heading"""

    title: str
    kind: Pair
    parts: Sequence[Part]
    lead: Sequence[Block] = field(default=())


def alike(value: object) -> Pair:
    """What is the same in both languages."""
    return str(value), str(value)


def markdown(document: Document) -> str:
    """In English and then in Chinese."""
    template = environment().get_template("document.md.j2")
    return template.render(document=document, md=plain)


def page(document: Document, language: str = "en") -> str:
    """One page without network or script; ``language`` is what it opens in."""
    return environment().get_template("document.html.j2").render(document=document, language=language)


def plain(text: object) -> str:
    """A text that Markdown and HTML show as it is.

    >>> plain("a|b <b> *c*")
    'a\\\\|b &lt;b&gt; \\\\*c\\\\*'
    """
    shown = str(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([\\`*_\[\]|#])", r"\\\1", shown).replace("\n", " ")
