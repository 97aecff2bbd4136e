"""Events: one prediction that was served, and the sink that takes it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, Self


@dataclass(frozen=True)
class Event:
    """One prediction that was served.

    id : what the answer carried; feedback refers to it
    time : seconds since 1970, UTC
    bundle : digest of the bundle that answered
    target, answer : what was predicted, and the answer as JSON values
    input : the raw input or its record by column; None where only the hash is kept
    input_sha256 : set by ``hashed``
    feedback : what is learned later about this prediction, as JSON values
    """

    id: str
    time: float
    bundle: str
    target: str
    answer: Mapping[str, Any]
    input: Any = None
    input_sha256: str | None = None
    feedback: Any = None

    def hashed(self) -> Self:
        """The same event without its input: equal inputs keep equal hashes.

        A hash of a short or guessable text can be found by trying, so it hides a text from readers, not from attackers.

        >>> event = Event("1", 0.0, "sha256:…", "label", {"label": "refund", "score": 0.9}, "where is my money?")
        >>> event.hashed().input is None, event.hashed().input_sha256[:8]
        (True, '22a80b2e')
        """
        return replace(self, input=None, input_sha256=sha256_of(self.input))


class Sink(Protocol):
    """Takes events as they happen, from several threads at once."""

    def emit(self, events: Sequence[Event]) -> None:
        """Called before the answer leaves, so it must be quick: hand over to a queue where storing is slow."""
        ...


class NullSink:
    """Keeps nothing; where it stands no event is even made."""

    def emit(self, events: Sequence[Event]) -> None:
        """Forget them."""


def sha256_of(value: Any) -> str:
    """Hex sha256 of a text, or of the canonical JSON of any other value."""
    canonical = json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    text = value if isinstance(value, str) else canonical
    return hashlib.sha256(text.encode()).hexdigest()
