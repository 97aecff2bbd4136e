"""Lanes: who waits for which encoder, whose turn it is, and how much a turn takes. Not safe to call from threads."""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tunewright.serve.predictor import Predictor

Answers = Mapping[str, Sequence[Any]]
"""Target → one answer per row."""
ROW_COST = 2
"""What a row costs beside its characters: a text has special tokens, and an empty one is computed, too."""
FIRST_GUESS = 0.3
"""Cost of a character before any was computed: tokens of English text."""
MOST_IDLE = 256
"""Lanes that are kept although nobody waits in them, for what they have learnt of costs."""


@dataclass(eq=False)
class Job:
    """The rows that one request asks of one bundle.

    sizes : characters of each row
    taken : rows whose turn has come
    answered : rows that are answered; answers : theirs, with the first row of each part
    """

    predictor: Predictor
    rows: Sequence[Any]
    top: int = 0
    targets: tuple[str, ...] | None = None
    error: float | None = None
    ticket: Any = None
    sizes: Sequence[int] = ()
    taken: int = 0
    answered: int = 0
    answers: list[tuple[int, Answers]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.sizes = [size(row) for row in self.rows]

    def take(self, first: int, answers: Answers) -> bool:
        """Keep the answers of some rows; whether all are there now."""
        self.answers.append((first, answers))
        self.answered += len(next(iter(answers.values())))
        return self.answered == len(self.rows)

    def whole(self) -> Iterator[Answers]:
        """All answers in the order of the rows, part by part."""
        return (answers for _, answers in sorted(self.answers, key=lambda one: one[0]))

    @property
    def question(self) -> Hashable:
        """Equal where rows can be asked in one call."""
        return id(self.predictor), self.top, self.targets, self.error

    @property
    def lane(self) -> Hashable:
        """Equal where rows can be computed in one pass: by the bundle's encoder, or by the bundle alone."""
        encoder = getattr(self.predictor, "encoder", None)
        return id(self.predictor) if encoder is None else (id(encoder), len(self.predictor.manifest.inputs))


def size(row: Any) -> int:
    """Characters of a row, roughly where it is no text."""
    return sum(size(value) for value in row.values()) if isinstance(row, dict) else len(str(row))


@dataclass(frozen=True)
class Piece:
    """Rows ``first`` to ``last`` (not itself) of a job, which have their turn."""

    job: Job
    first: int
    last: int

    @property
    def rows(self) -> Sequence[Any]:
        return self.job.rows[self.first : self.last]


class Lane:
    """The jobs that wait for one encoder, each of them one row at a time: a long one holds up no short one."""

    def __init__(self) -> None:
        self.jobs: deque[Job] = deque()
        self.since = 0.0
        """When the first of the jobs came that have had no turn."""
        self.per_character = FIRST_GUESS
        self.crowded = False
        """Whether the last turn was shared by several requests."""

    def cost(self, job: Job, row: int) -> float:
        return ROW_COST + self.per_character * job.sizes[row]

    def full(self, budget: float) -> bool:
        """Whether what waits is enough for a turn."""
        found = 0.0
        for job in self.jobs:
            for row in range(job.taken, len(job.rows)):
                found += self.cost(job, row)
                if found >= budget:
                    return True
        return False

    def take(self, budget: float) -> list[Piece]:
        """A turn: a row of each job in their order, round and round, until the budget is used up."""
        first: dict[Job, int] = {}
        used = 0.0
        while self.jobs and (not first or used < budget):
            job = self.jobs.popleft()
            first.setdefault(job, job.taken)
            used += self.cost(job, job.taken)
            job.taken += 1
            if job.taken < len(job.rows):
                self.jobs.append(job)
        self.crowded = len({id(job.ticket) for job in first}) > 1
        return [Piece(job, start, job.taken) for job, start in first.items()]

    def learn(self, pieces: Sequence[Piece], cost: int) -> None:
        """Correct the price of a character by what a turn really cost."""
        rows = sum(piece.last - piece.first for piece in pieces)
        characters = sum(sum(piece.job.sizes[piece.first : piece.last]) for piece in pieces)
        seen = max(cost - ROW_COST * rows, 0) / max(characters, 1)
        self.per_character += (seen - self.per_character) * 0.1


class Lanes:
    """All lanes, which have their turns one after the other, and how much waits in them.

    rows, characters : of the jobs that wait
    """

    def __init__(self) -> None:
        self._lanes: dict[Hashable, Lane] = {}
        self.rows = 0
        self.characters = 0

    def add(self, job: Job, now: float) -> None:
        """Let a job wait."""
        if len(self._lanes) > MOST_IDLE:
            self._lanes = {name: lane for name, lane in self._lanes.items() if lane.jobs}
        lane = self._lanes.setdefault(job.lane, Lane())
        if not lane.jobs:
            lane.since = now
        lane.jobs.append(job)
        self.rows += len(job.rows)
        self.characters += sum(job.sizes)

    def remove(self, job: Job) -> None:
        """Forget the rows of a job that have had no turn yet."""
        lane = self._lanes.get(job.lane)
        if lane is not None and job in lane.jobs:
            lane.jobs.remove(job)
            self._gone(Piece(job, job.taken, len(job.rows)))

    def take(self, now: float, budget: float, wait: float) -> tuple[Lane, list[Piece]] | float | None:
        """The next lane's turn; or the seconds until one is due, None = nothing waits.

        wait : seconds that a lane waits for more where several requests shared its last turn
        """
        soonest: float | None = None
        for name, lane in list(self._lanes.items()):
            if not lane.jobs:
                continue
            patience = lane.since + wait - now if lane.crowded and wait and not lane.full(budget) else 0.0
            if patience <= 0:
                pieces = lane.take(budget)
                for piece in pieces:
                    self._gone(piece)
                self._lanes[name] = self._lanes.pop(name)  # to the end of the line
                lane.since = now
                return lane, pieces
            soonest = patience if soonest is None else min(soonest, patience)
        return soonest

    def _gone(self, piece: Piece) -> None:
        self.rows -= piece.last - piece.first
        self.characters -= sum(piece.job.sizes[piece.first : piece.last])
