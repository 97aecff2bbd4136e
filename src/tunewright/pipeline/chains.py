"""Which steps of compression are tried, in which order: those that were named, or whatever reaches a target."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tunewright.core.errors import GateMissed, TunewrightError
from tunewright.pipeline.attempts import Attempt, Scale, table
from tunewright.pipeline.steps import NotCompressed, Work

if TYPE_CHECKING:
    from tunewright.compress._copy import Copy

FOR_SIZE = (("fp16",), ("vocabulary", "fp16"), ("int8",), ("vocabulary", "int8"))
FOR_SPEED = (("int8",),)
LEARNT = (("prune", "int8"), ("distill", "int8"))
"""Those that change the answers most, and take longest."""


def planned(wanted: Sequence[tuple[str, str, float]], *, texts: bool, learns: bool) -> list[tuple[str, ...]]:
    """Chains of steps for targets, those that change least first; of equal ones, those that take no training.

    texts : there are rows whose tokens stay, so that the vocabulary may shrink; learns : there are rows to learn from

    >>> planned([("size_mb", "<=", 10.0)], texts=True, learns=False)
    [('fp16',), ('vocabulary', 'fp16'), ('int8',), ('vocabulary', 'int8')]
    >>> planned([("rows_per_s", ">=", 900.0)], texts=True, learns=True)
    [('int8',), ('prune', 'int8'), ('distill', 'int8')]
    """
    size, speed = (any((name == "size_mb") == one for name, _, _ in wanted) for one in (True, False))
    chains = [*(FOR_SPEED if speed else FOR_SIZE), *([("vocabulary", "int8")] if speed and size else [])]
    first = ("vocabulary",) if size and texts else ()
    chains += [(*first, *one) for one in LEARNT] if learns else []
    return [one for one in chains if texts or "vocabulary" not in one]


def carried_out(work: Work, steps: Sequence[str], start: Copy, scale: Scale) -> tuple[Copy, Attempt]:
    """One step after the other.

    Raises
    ------
    NotCompressed
        No setting of one passes.
    """
    done, last = start, work.tried[0]
    for at in range(1, len(steps) + 1):
        done, last = work.step(steps[:at], done, scale, at_end=at == len(steps))
    return done, last


def first_that_reaches(
    work: Work, chains: Sequence[tuple[str, ...]], start: Copy, scale: Scale
) -> tuple[Copy, Attempt]:
    """The first of several chains whose end reaches the targets; what two of them begin with is made once.

    Raises
    ------
    NotCompressed
        None does.
    """
    made: dict[tuple[str, ...], tuple[Copy, Attempt] | None] = {(): (start, work.tried[0])}
    for chain in chains:
        for at in range(1, len(chain) + 1):
            before, last = made[chain[: at - 1]], at == len(chain)
            if before is None:
                break
            if last or chain[:at] not in made:
                made[chain[:at]] = _passed(work, chain[:at], before[0], scale, at_end=last)
            found = made[chain[:at]]
            if last and found is not None:
                return found
    reached = ", ".join(f"{name} {sign} {limit:g}" for name, sign, limit in work.wanted)
    named = "; ".join(",".join(one) for one in chains)
    raise NotCompressed(
        f"nothing reaches {reached} with the limits kept; tried: {named}",
        "set a target that the table shows to be near, allow more (--set compress.accuracy_lost=0.02), "
        "or give rows to learn from (--train)",
        table(work.tried),
    )


def _passed(
    work: Work, steps: tuple[str, ...], state: Copy, scale: Scale, *, at_end: bool
) -> tuple[Copy, Attempt] | None:
    """What a step made; None where no setting passes, or where it does not fit the bundle, which is said."""
    try:
        return work.step(steps, state, scale, at_end=at_end)
    except GateMissed:
        return None
    except TunewrightError as error:
        work.say(f"{','.join(steps)} is left out: {error.problem}")
        return None
