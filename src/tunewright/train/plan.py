"""How many steps are made and how large they are; cut short, in time, where the minutes do not last."""

from __future__ import annotations

from tunewright.core.run import Run

EXPORT_SECONDS = 15.0
"""Kept back from the minutes for tracing the graphs, audits and report."""
COMPARED_PASSES = 2.5
"""What comparing and judging costs, in passes of the held-out rows: once trained, once exported, and the extremes."""


class Plan:
    """The steps of one training.

    rate : peak step size; warmup : share of the steps in which it rises
    held_out_seconds : what one pass over the rows costs that the exported graphs are judged on
    """

    def __init__(self, steps: int, rate: float, warmup: float, run: Run, held_out_seconds: float = 0.0) -> None:
        self.steps = steps
        self.peak = rate
        self.warmup = warmup
        self._run = run
        self._begun = run.elapsed
        self._reserve = min(EXPORT_SECONDS + COMPARED_PASSES * held_out_seconds, 0.4 * run.seconds)

    @property
    def spent(self) -> float:
        """Seconds of this training so far."""
        return self._run.elapsed - self._begun

    def go_on(self, steps: int, spent: float) -> None:
        """Continue a training that was cut short, with the steps planned and the seconds spent until then."""
        self.steps = steps
        self._begun = self._run.elapsed - spent

    def look(self, step: int) -> None:
        """After step 5, 10, 20 and then every 20: would the planned steps end in time?"""
        if step not in (5, 10) and step % 20:
            return
        seconds_per_step = self.spent / step
        possible = step + int((self._run.left - self._reserve) / max(seconds_per_step, 1e-9))
        if possible < self.steps:
            self.steps = max(possible, step)

    def left_seconds(self, step: int) -> float:
        """Until the steps planned are made at the speed so far, or the minutes are over, whichever comes first."""
        return max(0.0, min(self._run.left, (self.steps - step) * self.spent / max(step, 1)))

    def rate(self, step: int) -> float:
        """Step size: rises over the warm-up, then falls to zero along a straight line."""
        share = (step + 1) / (self.steps + 1)
        if share < self.warmup:
            return self.peak * share / self.warmup
        return self.peak * (1 - share) / (1 - self.warmup)
