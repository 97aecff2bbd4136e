"""A row cut into pieces that can be left out, and what it reads like without some of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tunewright.core.errors import TunewrightError
from tunewright.core.plugins import reads
from tunewright.core.types import Array
from tunewright.modalities._pieces import pieces
from tunewright.modalities._strings import encodable


@dataclass(frozen=True)
class Piece:
    """What is left out as one: characters ``start`` to ``end`` of the text in ``column``.

    weight : what it speaks for the explained label (below 0: against it)
    """

    column: str
    start: int
    end: int
    text: str
    weight: float = 0.0


@dataclass(frozen=True)
class Cut:
    """A row and its pieces, column after column, in the order of the text.

    words : how many words, single characters and runs of signs the pieces are made of
    """

    columns: tuple[str, ...]
    texts: tuple[str, ...]
    pieces: tuple[Piece, ...]
    words: int

    def without(self, kept: Array) -> list[list[str]]:
        """One list of v texts per column, each with only the pieces that are kept.

        kept : bool (v, p)
        """
        out, first = [], 0
        for column, text in zip(self.columns, self.texts, strict=True):
            own = [(one.start, one.end) for one in self.pieces if one.column == column]
            out.append([_rest(text, own, row[first : first + len(own)]) for row in kept])
            first += len(own)
        return out


def cut(inputs: Mapping[str, str], values: Sequence[Any], most: int, place: str = "") -> Cut:
    """Cut a row into at most ``most`` pieces: its words, and where there are more, neighbours together.

    Parameters
    ----------
    inputs : column → modality, as the manifest has it
    values : the row's value of each column; None is an empty text
    place : what messages begin with

    Raises
    ------
    TunewrightError
        A column is no text, or there is nothing in the row that could be left out.
    """
    texts = [_text(value, column, inputs[column], place) for column, value in zip(inputs, values, strict=True)]
    places = [pieces(text) for text in texts]
    counts = [len(one) for one in places]
    if not sum(counts):
        told = "holds white space only" if any(texts) else "is empty"
        raise TunewrightError(f"{place}the text {told}: there is nothing to explain", "give a text with words")
    if most < len(texts):
        raise TunewrightError(f"{most} pieces are too few for {len(texts)} columns", "allow more of them")
    size = next(size for size in range(1, max(counts) + 1) if sum(-(-n // size) for n in counts) <= most)
    found = [
        Piece(column, int(some[0, 0]), int(some[-1, 1]), text[some[0, 0] : some[-1, 1]])
        for column, text, place in zip(inputs, texts, places, strict=True)
        for some in (np.array_split(place, -(-len(place) // size)) if len(place) else ())
    ]
    return Cut(tuple(inputs), tuple(texts), tuple(found), sum(counts))


def segments(text: str, own: Sequence[Piece]) -> list[tuple[str, Piece | None]]:
    """A column's text from end to end: its pieces, and what stands between them.

    >>> segments("a  b", [Piece("text", 0, 1, "a"), Piece("text", 3, 4, "b")])[1]
    ('  ', None)
    """
    out: list[tuple[str, Piece | None]] = []
    at = 0
    for piece in own:
        out += [(text[at : piece.start], None), (piece.text, piece)]
        at = piece.end
    return [one for one in [*out, (text[at:], None)] if one[0]]


def _text(value: Any, column: str, modality: str, place: str) -> str:
    if reads(modality) != "text":
        raise TunewrightError(f"column {column!r} is no text", "only bundles that read texts can be explained")
    if value is not None and not isinstance(value, str):
        raise TunewrightError(f"{place}{value!r:.80} is no text", "give a string")
    if value and not encodable(value):
        raise TunewrightError(f"{place}the text holds half of a surrogate pair", "send valid Unicode (UTF-8)")
    return value or ""


def _rest(text: str, places: Sequence[tuple[int, int]], kept: NDArray[np.bool_]) -> str:
    """The text with only the pieces that are kept; what stood apart stays apart, by the widest space between."""
    if not places or kept.all():
        return text
    out, last = [text[: places[0][0]]], -1
    for at in np.flatnonzero(kept).tolist():
        if last >= 0:
            gaps = [text[places[one][1] : places[one + 1][0]] for one in range(last, at)]
            out.append(max(gaps, key=len) or _between(text[places[last][1] - 1], text[places[at][0]], at - last))
        out.append(text[slice(*places[at])])
        last = at
    return "".join([*out, text[places[-1][1] :]])


def _between(before: str, after: str, steps: int) -> str:
    """A space where two words would run together that a sign stood between."""
    return " " if steps > 1 and before.isalnum() and after.isalnum() and (before + after).isascii() else ""
