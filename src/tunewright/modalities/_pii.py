"""Personal data in texts by their form: where they stand, and the text with a token in the place of each.

A number with a checksum counts only where it is right; the others count by their form alone, so forms are kept narrow.
Full-width digits and signs are read as plain ones. Names and places have no form: see ``audit/_presidio.py``.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from tunewright.core.personal import PII
from tunewright.modalities._forms import forms


@dataclass(frozen=True, order=True)
class Found:
    """Characters ``start`` to ``end`` of a text are personal data of a kind named in ``core.personal.PII``."""

    start: int
    end: int
    name: str


Columns = Sequence[Sequence[Any]]
PLAIN = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz@.+-()/_%"
NARROW = {ord(one) + 0xFEE0: one for one in PLAIN} | {0x3000: " ", 0xA0: " ", 0x2011: "-"}
"""Full-width letters, digits and signs as plain ones, one by one, so that places stay; spaces of print as spaces."""
HINT = re.compile(r"[0-9@]")
"""Without one of these there is nothing to find."""


def find(text: str, names: Collection[str] = PII) -> list[Found]:
    """Personal data in the order of the text; none overlaps another.

    >>> [(one.name, one.start) for one in find("mail to ann@example.com or call +44 20 7946 0958")]
    [('email', 8), ('phone', 32)]
    """
    plain = text.translate(NARROW)
    if not names or not HINT.search(plain):
        return []
    taken: list[Found] = []
    for name, form, holds in forms():
        for match in form.finditer(plain):
            start, end = match.span("it")
            size = holds(plain[start:end])
            one = Found(start, start + size, name)
            if size and not any(one.start < other.end and other.start < one.end for other in taken):
                taken.append(one)
    return sorted(one for one in taken if one.name in names)


def mask(text: str, names: Collection[str] = PII) -> str:
    """The text with ``<email>``, ``<phone>`` … in the place of what is found; masked again, it stays the same.

    >>> mask("my card 4111 1111 1111 1111 was stolen")
    'my card <card> was stolen'
    """
    while found := find(text, names):  # a token may uncover what stood too close to other digits
        for one in reversed(found):
            text = f"{text[: one.start]}<{one.name}>{text[one.end :]}"
    return text


def masked(columns: Columns, names: Collection[str]) -> Columns:
    """n rows as one sequence for each column, with their texts masked; what is no text stays, to be refused later."""
    if not names:
        return columns
    return [[mask(value, names) if isinstance(value, str) else value for value in values] for values in columns]
