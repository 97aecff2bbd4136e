"""One vector per row, from those of its windows."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tunewright.core.types import Array, Windows


def of_rows(pieces: Sequence[Array], windows: Windows) -> Array:
    """Vectors (d,) of m windows → float32 (n, d), of length 1: the mean over a row's windows, weighted by cost."""
    out = np.zeros((windows.rows, pieces[0].shape[-1] if len(pieces) else 0), np.float32)
    if len(pieces):
        np.add.at(out, windows.owner, np.stack(pieces) * windows.share()[:, None].astype(np.float32))
    unit: Array = out / np.maximum(np.linalg.norm(out, axis=1, keepdims=True), 1e-12)
    return unit
