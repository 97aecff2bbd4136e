"""A batch's gradients, added up from pieces that memory has room for; from smaller ones where it has not."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from tunewright.core.types import Array
from tunewright.train.course import Course
from tunewright.train.device import fast, give_back
from tunewright.train.feed import STEP_BUDGET
from tunewright.train.recompute import Recompute
from tunewright.train.step import Piece
from tunewright.train.workers.team import Team

TRIM_COST = 20_000
"""Tokens (or other units of cost) after which freed memory is given back."""


class Pieces:
    """What adds up the gradients of one process.

    budget : largest cost of a piece; it shrinks where memory runs out
    forget : drops the gradients of an attempt that memory was too small for
    """

    def __init__(self, course: Course, model: nn.Module, team: Team, forget: Callable[[], None]) -> None:
        self.budget = STEP_BUDGET
        self._course = course
        self._model = model
        self._team = team
        self._forget = forget
        self._recompute = Recompute(course.fit.recompute, model)
        self._untrimmed = 0
        """What was computed since freed memory was given back."""

    def gradients(self, index: Array, step: int) -> float:
        """This process's share of a batch's gradients, in the parameters; returns its share of the loss."""
        while True:
            try:
                return self._added_up(index, step)
            except (RuntimeError, MemoryError) as error:
                if not _out_of_memory(error) or not self._made_room(index):
                    raise
                self._forget()

    def give_back(self, cost: int) -> None:
        """Freed memory, after so much more was computed."""
        self._untrimmed += cost
        if self._untrimmed >= TRIM_COST:
            give_back()
            self._untrimmed = 0

    def _made_room(self, index: Array) -> bool:
        """Smaller pieces for the next attempt; once they are single windows, fewer activations; or nothing is left."""
        if self.budget > int(self._course.feed.windows.cost[index].min()):
            self.budget //= 2
            said = f"going on with pieces of {self.budget} tokens instead of twice that"
        elif self._recompute.insist():
            said = "going on with activations that are computed again instead of kept"
        else:
            return False
        self._course.run.log("memory", say=f"out of memory: {said}")
        return True

    def _added_up(self, index: Array, step: int) -> float:
        course = self._course
        self._model.train()
        self._team.draw_apart(course.seed, step)
        index, part = course.feed.own(index, self._team.rank, self._team.size)
        loss = 0.0
        with fast(course.device, course.bf16):
            for rows, weights in course.feed.pieces(index, self.budget) if len(index) else ():
                arrays, truth = course.feed.inputs(rows, course.device), course.feed.truth(rows, course.device)
                shares = torch.from_numpy(weights * part).to(course.device, torch.float32)
                with self._recompute.of_windows(course.feed.windows.cost[rows]):
                    groups = course.feed.groups_of(rows, course.device)
                    piece = Piece(arrays, truth, shares, course.loss, groups=groups)
                    loss += float(course.step(self._model, piece))
        return loss


def _out_of_memory(error: Exception) -> bool:
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or "can't allocate memory" in str(error)
