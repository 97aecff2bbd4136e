"""Texts for a backbone, and beside each of their windows the n-grams of the whole row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Self

from tunewright.core.types import Array, Windows
from tunewright.modalities.ngrams import Ngrams
from tunewright.modalities.text import Text


@dataclass(frozen=True, eq=False)
class TextNgrams:
    """Strings → the windows that ``text`` cuts, each with all n-grams of its row, so that their mean is the row's."""

    text: Text
    ngrams: Ngrams

    reads: ClassVar[str] = "text"
    axes: ClassVar[Mapping[str, tuple[str, ...]]] = {**Text.axes, **Ngrams.axes}

    @classmethod
    def load(cls, settings: Mapping[str, Any], folder: Path) -> Self:
        return cls(Text.load(settings["text"], folder), Ngrams.load(settings["ngrams"], folder))

    def save(self, folder: Path) -> dict[str, Any]:
        return {"text": self.text.save(folder), "ngrams": self.ngrams.save(folder)}

    def as_read(self, columns: Sequence[Sequence[Any]]) -> Sequence[Sequence[Any]]:
        """The columns as the model reads them: with personal data masked."""
        return self.text.as_read(columns)

    def windows(self, columns: Sequence[Sequence[Any]]) -> Windows:
        """columns: one list of n strings per input column; ``cost`` and ``spans`` are those of the tokens."""
        windows = self.text.windows(columns)
        of_rows = self.ngrams.windows(columns)
        beside = {name: values.take(windows.owner, axis=0) for name, values in of_rows.data.items()}
        return replace(windows, data={**windows.data, **beside})

    def batch(self, windows: Windows, index: Array) -> dict[str, Array]:
        """input_ids, attention_mask : int64 (b, t); features : int32 (b, s), weights : float32 (b, s)"""
        return self.text.batch(windows, index) | self.ngrams.batch(windows, index)
