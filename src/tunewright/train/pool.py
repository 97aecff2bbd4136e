"""All rows that several contexts draw their parts from: what is frozen is computed once for all of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from tunewright.train.examples import Part


@dataclass(frozen=True)
class Pool:
    """The rows, and where those of a context's parts stand among them.

    index : ``train`` and ``validation`` → int64 (n,)
    """

    part: Part
    index: Mapping[str, NDArray[np.int64]]

    def share(self, part: str) -> float:
        """How large a part is beside all rows."""
        return len(self.index[part]) / max(1, len(self.part.truth))
