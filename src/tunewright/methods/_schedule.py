"""How far a contrastive training goes: rows of a step, steps, and their size."""

from __future__ import annotations

import math
from dataclasses import dataclass

TRAVEL, WHOLE = 1.5e-3, 768
"""Peak step size times passes: as far for few passes as for many. A step of a part of the rows, of so many at the most,
goes a part of the way."""
POOR = 0.35
"""Share of rows that the plain probe gets wrong from which on few rows go all the way. Where it errs less there is less
to gain and more to lose: news, a quarter wrong, are told best after half the way, questions after all of it."""
PASSES, ROWS_OF_A_PASS = (4, 6), 8
"""How often each row is seen at the least and the most, while all that are seen are no more than ``MOST``; and for how
many rows it is once more. More passes pay for 48 rows, and do not for 16; eight would take too long."""
MOST = 12_000
BATCH = 128
"""Rows of a step at the most. Each is told apart from all others of its step, so few rows come all at once. With more
a row takes up to twice the time."""
LEAST = 8
"""Rows of a step at the least, while there are so many."""


@dataclass(frozen=True)
class Schedule:
    """rows : of a step; steps : of the training; rate : peak step size; few : each step holds all rows"""

    rows: int
    steps: int
    rate: float
    few: bool


def scheduled(count: int, wrong: float) -> Schedule:
    """For ``count`` rows, of which a linear model on frozen embeddings gets a share ``wrong`` wrong.

    >>> scheduled(400, 0.4).steps
    19
    """
    rows = min(BATCH, max(LEAST, count))
    passes = min(max(count // ROWS_OF_A_PASS, PASSES[0]), PASSES[1])
    steps = math.ceil(min(passes * count, MOST) / rows)
    few = count <= rows
    way = min(1.0, wrong / POOR) if few else min(1.0, rows / min(count, WHOLE))
    return Schedule(rows, steps, way * TRAVEL / passes, few)
