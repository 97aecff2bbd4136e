"""From logits to answers: which rows are empty or strange, and which answers a person has to look at."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from tunewright.core.types import Array, Kind, Windows
from tunewright.kinds._answers import strange
from tunewright.runtime.review import Rules
from tunewright.runtime.scope import Scope
from tunewright.runtime.vectors import of_rows


@dataclass(frozen=True)
class Decisions:
    """How the targets of a bundle are decided.

    kinds : target → its kind, at the rate of errors that is asked for
    scopes : target → its detector of strange rows, where it has one
    inputs : names of the columns
    """

    kinds: Mapping[str, Kind]
    scopes: Mapping[str, Scope]
    rules: Rules | None
    inputs: Iterable[str]

    def answers(
        self,
        columns: Sequence[Sequence[Any]],
        windows: Windows,
        pieces: Mapping[str, Sequence[Array]],
        top: int,
        targets: Iterable[str],
    ) -> dict[str, list[Any]]:
        """Target → one answer per row, from what the heads gave for each window of the rows."""
        blank = [row for row, values in enumerate(zip(*columns, strict=True)) if all(map(_is_empty, values))]
        vectors = of_rows(pieces["embed"], windows) if "embed" in pieces else None
        out: dict[str, list[Any]] = {}
        for name in targets:
            logits = self.kinds[name].gather(pieces[f"head.{name}"], windows)
            found = self.kinds[name].decode(logits, top)
            for row in self._outside(name, logits, vectors):
                found[row] = strange(found[row])
            for row in blank:
                found[row] = undecided(self.kinds[name], found[row])
            if self.rules is not None:
                found = self.rules.marked(found, dict(zip(self.inputs, columns, strict=True)))
            out[name] = found
        return out

    def _outside(self, name: str, logits: Array, vectors: Array | None) -> list[int]:
        """Rows that are unlike all that was learnt."""
        scope = self.scopes.get(name)
        return [] if scope is None else scope.outside(self.kinds[name], logits, vectors).nonzero()[0].tolist()


def undecided(kind: Kind, answer: Any) -> Any:
    """The answer to an empty row; it lists no candidates where the others list some, so that all have one form."""
    empty = kind.empty("empty")
    return replace(empty, candidates=[]) if getattr(answer, "candidates", None) is not None else empty


def _is_empty(value: Any) -> bool:
    return value is None or (isinstance(value, str) and not value.strip())
