"""Names and places in texts, by Presidio where it is installed: they have no form that could be looked for."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Iterator, Sequence
from typing import Any

from tunewright.modalities._pii import Found

MODULE = "presidio_analyzer"
NAMES = {"PERSON": "name", "LOCATION": "place"}
SURE = 0.6
"""Least score of what counts."""
MOST_TEXTS = 500
"""Texts that it looks at: a language model reads each of them."""


def installed() -> bool:
    """Whether there is a Presidio to ask."""
    return importlib.util.find_spec(MODULE) is not None


def names_in(texts: Sequence[str], language: str) -> Iterator[list[Found]]:
    """The names and places in each text.

    Raises
    ------
    Exception
        Of Presidio's own, where it has no language model for the language.
    """
    analyzer: Any = importlib.import_module(MODULE).AnalyzerEngine()
    for text in texts:
        found = analyzer.analyze(text=text, language=language, entities=list(NAMES))
        yield sorted(Found(one.start, one.end, NAMES[one.entity_type]) for one in found if one.score >= SURE)
