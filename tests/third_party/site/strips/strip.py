"""Strips: a cell such as ``"0.1 0.4 0.3"`` becomes a sequence of frames; long strips become several windows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np

from tunewright.core.errors import TunewrightError
from tunewright.core.types import Array, Ragged, Windows


@dataclass(frozen=True)
class Strip:
    """A frame holds two numbers: the value, and how far it lies above the one before it in its window."""

    max_frames: int

    axes: ClassVar[Mapping[str, tuple[str, ...]]] = {"frames": ("rows", "steps"), "present": ("rows", "steps")}

    @classmethod
    def load(cls, settings: Mapping[str, Any], folder: Path) -> Self:
        return cls(**settings)

    def save(self, folder: Path) -> dict[str, Any]:
        return {"max_frames": self.max_frames}

    def windows(self, columns: Sequence[Sequence[Any]]) -> Windows:
        """columns : one list of n cells per input column; the strips of a row's columns follow on each other."""
        rows = enumerate(zip(*columns, strict=True))
        strips = [[value for cell in cells for value in _numbers(cell, row)] for row, cells in rows]
        size = self.max_frames
        cuts = [(row, start) for row, strip in enumerate(strips) for start in range(0, len(strip) or 1, size)]
        pieces = [_frames(strips[row][start : start + size] or [0.0]) for row, start in cuts]
        frames = Ragged.of(pieces, np.float32)
        return Windows(len(strips), np.array([row for row, _ in cuts], np.int64), frames.lengths, {"frames": frames})

    def batch(self, windows: Windows, index: Array) -> dict[str, Array]:
        """frames : float32 (b, t, 2); present : float32 (b, t)"""
        frames = windows.data["frames"]
        assert isinstance(frames, Ragged)
        values, mask = frames.padded(index)
        return {"frames": values, "present": mask.astype(np.float32)}


def _numbers(cell: Any, row: int) -> list[float]:
    try:
        return [float(word) for word in ([] if cell is None else str(cell).split())]
    except ValueError:
        raise TunewrightError(f"row {row}: {cell!r} is no strip", "write numbers with spaces between them") from None


def _frames(values: Sequence[float]) -> Array:
    column = np.asarray(values, np.float32)
    return np.stack([column, np.diff(column, prepend=column[:1])], axis=1)
