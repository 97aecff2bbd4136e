"""Parts of the rows that a model may be weak on: by length, language, word, and what further columns hold."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tunewright.audit._context import Columns, Context
from tunewright.data.language import dominant
from tunewright.modalities._pieces import pieces

MIN_ROWS = 20
"""Rows below which a part is not looked at."""
MOST_VALUES = 50
"""Different values of a column above which it is taken for a number, a time, an id or a text."""
WORDS = 200
"""Words that are looked at, the most frequent first."""
EDGES = (0.2, 0.4, 0.6, 0.8, 0.95)

Parts = dict[str, NDArray[np.bool_]]
"""Name → bool (n,), the rows of a part."""


def parts_of(context: Context) -> Parts:
    """All parts of at least ``MIN_ROWS`` rows that are not nearly all rows, each set of rows under its first name."""
    texts = joined(context.inputs)
    found = [_lengths(texts), _languages(texts), *_columns(context.others or {}), *_columns(context.groups or {})]
    return large(dict(pair for one in [*found, _empty(context.inputs), _words(texts)] for pair in one.items()))


def large(parts: Parts) -> Parts:
    """Those with enough rows, inside and outside of them; of two that are the same rows, the first."""
    seen: dict[bytes, str] = {}
    for name, mask in parts.items():
        if MIN_ROWS <= mask.sum() <= len(mask) - MIN_ROWS:
            seen.setdefault(mask.tobytes(), name)
    return {name: parts[name] for name in seen.values()}


def joined(inputs: Columns) -> list[str]:
    """The inputs of each row as one text; empty where none is a text."""
    columns = [[value if isinstance(value, str) else "" for value in column] for column in inputs.values()]
    return [" ".join(row).strip() for row in zip(*columns, strict=True)]


def _lengths(texts: Sequence[str]) -> Parts:
    return _fifths("length", "characters", np.array([len(text) for text in texts], np.float64), "{:.0f}".format)


def _fifths(column: str, unit: str, values: NDArray[np.float64], shown: Any) -> Parts:
    """Ranges with a fifth of the rows each, and the largest twentieth; rows without a value (NaN) are in none."""
    known = values[np.isfinite(values)]
    if len(known) < MIN_ROWS:
        return {}
    bounds = np.unique(np.quantile(known, EDGES, method="inverted_cdf"))
    edges = [-np.inf, *bounds.tolist(), np.inf]
    out: Parts = {}
    for above, upto in pairwise(edges):
        mask = (values > above) & (values <= upto)
        if mask.any():
            low, high = shown(values[mask].min()), shown(values[mask].max())
            out[f"{column}: {low}–{high} {unit}".strip()] = mask
    return out


def _languages(texts: Sequence[str]) -> Parts:
    found = np.array([dominant([text]) if text else "" for text in texts])
    return {f"language: {name}": found == name for name in sorted(set(found.tolist()) - {""})}


def _empty(inputs: Columns) -> Parts:
    return {
        f"{column}: empty": np.array(
            [value is None or (isinstance(value, str) and not value.strip()) for value in cells]
        )
        for column, cells in inputs.items()
    }


def _columns(columns: Columns) -> Iterator[Parts]:
    """Values of a column with few of them; fifths of one of numbers or of times."""
    for column, cells in columns.items():
        texts = np.array([_plain(cell) for cell in cells])
        values = sorted(set(texts.tolist()))
        if len(values) <= MOST_VALUES:
            yield {f"{column}: {value or 'empty'}": texts == value for value in values}
        elif (times := _times(texts.tolist())) is not None:
            yield _fifths(column, "", times, lambda one: datetime.fromtimestamp(one).date().isoformat())
        elif (numbers := _numbers(texts.tolist())) is not None:
            yield _fifths(column, "", numbers, "{:g}".format)


def _plain(cell: Any) -> str:
    return "" if cell is None or cell != cell else str(cell).strip()


def _numbers(texts: Sequence[str]) -> NDArray[np.float64] | None:
    """None where a cell is neither empty nor a number."""
    try:
        return np.array([float(text) if text else np.nan for text in texts], np.float64)
    except ValueError:
        return None


def _times(texts: Sequence[str]) -> NDArray[np.float64] | None:
    """Seconds; None where a cell is neither empty nor a time as ISO 8601 writes it with signs between its numbers."""
    if not all(not text or "-" in text[1:] for text in texts):
        return None
    try:
        return np.array([_seconds(text) if text else np.nan for text in texts], np.float64)
    except ValueError:
        return None


def _seconds(text: str) -> float:
    return datetime.combine(date.fromisoformat(text[:10]), datetime.min.time()).timestamp()


def _words(texts: Sequence[str]) -> Parts:
    """Rows with a word, for the most frequent words of letters alone."""
    rows: dict[str, set[int]] = {}
    for at, text in enumerate(texts):
        for word in {text[start:end].casefold() for start, end in pieces(text).tolist()}:
            if word.isalpha():
                rows.setdefault(word, set()).add(at)
    often = Counter({word: len(found) for word, found in rows.items() if MIN_ROWS <= len(found) <= len(texts) // 2})
    out: Parts = {}
    for word, _ in sorted(often.items(), key=lambda item: (-item[1], item[0]))[:WORDS]:
        mask = np.zeros(len(texts), bool)
        mask[list(rows[word])] = True
        out[f"word: {word}"] = mask
    return out


def named_by_words(mask: NDArray[np.bool_], words: Mapping[str, NDArray[np.bool_]]) -> str:
    """The two words that a part has most in excess of the other rows, of those that many rows have."""
    excess = {name: float(one[mask].mean() - one[~mask].mean()) for name, one in words.items()}
    best = sorted((name for name in excess if excess[name] > 0), key=lambda name: (-excess[name], name))[:2]
    return ", ".join(name.removeprefix("word: ") for name in best)


def frequent_words(texts: Sequence[str]) -> Parts:
    """Word → the rows that have it; only such as at least ``MIN_ROWS`` rows have, so that none is one writer's own."""
    return _words(texts)
