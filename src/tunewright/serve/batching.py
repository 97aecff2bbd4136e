"""Dynamic batching: requests wait in lanes, a few threads compute turn after turn, the event loop only hands over."""

from __future__ import annotations

import asyncio
import logging
import math
import threading
import time
from collections.abc import Awaitable, Callable, Sequence

from tunewright.core.errors import TunewrightError
from tunewright.serve.lanes import Job, Lane, Lanes, Piece
from tunewright.serve.limits import Limits
from tunewright.serve.pool import Clock
from tunewright.serve.problems import Refusal
from tunewright.serve.turns import answered, counted

log = logging.getLogger("tunewright.serve")

LEFT = 499
"""What logs call a request whose caller went before the answer came; the caller never sees it."""
WATCH_SECONDS = 0.05
"""How long a request waits before the service looks whether its caller is still there."""


class Ticket:
    """A request that waits for the answers of one or several bundles.

    finish : makes the response of the answers, in a computing thread
    """

    def __init__(self, jobs: Sequence[Job], clock: Clock, finish: Callable[[], bytes]) -> None:
        self.jobs = jobs
        self.clock = clock
        self.finish = finish
        self.open = len(jobs)
        self.over = False
        """Nobody waits for it any more."""
        self.loop = asyncio.get_running_loop()
        self.future: asyncio.Future[bytes] = self.loop.create_future()
        for job in jobs:
            job.ticket = self

    def settle(self, result: bytes | Exception) -> None:
        """Hand over the response; called in the event loop."""
        self.over = True
        if self.future.done():
            return
        if isinstance(result, Exception):
            self.future.set_exception(result)
        else:
            self.future.set_result(result)


class Batching:
    """A bounded queue before a few threads. Each thread takes a turn: rows of several requests, computed in one pass.

    Fair by requests: a turn takes a row of each, round and round, so one with a thousand rows holds up none with one.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._lanes = Lanes()
        self._changed = threading.Condition()
        self._threads: list[threading.Thread] = []
        self._closed = False
        self._speed = 0.0
        """Rows a second, of late."""

    @property
    def waiting(self) -> int:
        """Rows that have had no turn yet."""
        return self._lanes.rows

    def check(self) -> None:
        """Refuse what would be refused anyway, before its body is read.

        Raises
        ------
        Refusal
            429 where no row can be taken.
        """
        if self._lanes.rows >= self._limits.waiting_rows or self._lanes.characters >= self._limits.waiting_characters:
            self._refuse()

    async def answer(
        self, jobs: Sequence[Job], clock: Clock, finish: Callable[[], bytes], left: Callable[[], Awaitable[object]]
    ) -> bytes:
        """What ``finish`` makes once all rows are answered.

        Parameters
        ----------
        left : ends when the caller has gone

        Raises
        ------
        Refusal
            429 where too much waits, 422 where a bundle refuses a row, 504 where the time is over, 499 where the caller
            left. Rows that have had no turn by then are never computed.
        """
        if not any(job.rows for job in jobs):
            return finish()
        ticket = Ticket(jobs, clock, finish)
        self._enter(ticket)
        timer = ticket.loop.call_later(max(clock.left, 0), self._late, ticket)
        watch = Watch(left, lambda: self._gone(ticket))
        try:
            return await ticket.future
        finally:
            timer.cancel()
            watch.end()
            if not ticket.over:
                self._leave(ticket)

    def _enter(self, ticket: Ticket) -> None:
        with self._changed:
            rows = sum(len(job.rows) for job in ticket.jobs)
            characters = sum(sum(job.sizes) for job in ticket.jobs)
            # The first one in is always taken: how long it may be by itself is for the other limits to say.
            most = self._limits
            if self._lanes.rows and (
                self._lanes.rows + rows > most.waiting_rows
                or self._lanes.characters + characters > most.waiting_characters
            ):
                self._refuse()
            now = time.monotonic()
            for job in ticket.jobs:
                self._lanes.add(job, now)
            self._start()
            self._changed.notify()

    def _refuse(self) -> None:
        seconds = math.ceil(self._lanes.rows / self._speed) if self._speed else 1
        wait = min(max(seconds, 1), math.ceil(self._limits.timeout_seconds))
        raise Refusal(
            429,
            f"the service is busy: inputs that wait: {self._lanes.rows}",
            f"try again in {wait} second{'s' if wait > 1 else ''}",
            {"Retry-After": str(wait)},
        )

    def _late(self, ticket: Ticket) -> None:
        self._leave(ticket)
        try:
            ticket.clock.refuse()
        except Refusal as refusal:
            ticket.settle(refusal)

    def _gone(self, ticket: Ticket) -> None:
        self._leave(ticket)
        ticket.settle(Refusal(LEFT, "the caller left before the answer", "wait for it"))

    def _leave(self, ticket: Ticket) -> None:
        """Forget what of a ticket has had no turn."""
        ticket.over = True
        with self._changed:
            for job in ticket.jobs:
                self._lanes.remove(job)

    def _start(self) -> None:
        """Threads are started at the first request: a process that is forked before it has none to lose."""
        while len(self._threads) < self._limits.threads and not self._closed:
            thread = threading.Thread(target=self._work, name=f"compute-{len(self._threads)}", daemon=True)
            self._threads.append(thread)
            thread.start()

    def _work(self) -> None:
        while True:
            turn = self._turn()
            if turn is None:
                return
            try:
                self._compute(*turn)
            except Exception as error:  # a thread that ended here would leave all later requests waiting
                self._hand_over([(piece.job.ticket, error) for piece in turn[1]])

    def _turn(self) -> tuple[Lane, list[Piece]] | None:
        with self._changed:
            while not self._closed:
                taken = self._lanes.take(time.monotonic(), self._limits.batch_cost, self._limits.batch_wait_ms / 1000)
                if isinstance(taken, tuple):
                    return taken
                self._changed.wait(taken)
        return None

    def _compute(self, lane: Lane, pieces: Sequence[Piece]) -> None:
        started = time.monotonic()
        alive = [piece for piece in pieces if not piece.job.ticket.over and piece.job.ticket.clock.left > 0]
        if not alive:
            return
        found, cost = answered(alive)
        done: list[tuple[Ticket, bytes | Exception]] = []
        for piece, answers in zip(alive, found, strict=True):
            ticket = piece.job.ticket
            if isinstance(answers, Exception):
                done.append((ticket, _refusal(counted(answers, piece))))
                self._leave(ticket)
                continue
            with self._changed:  # a job's next rows may have their turn in another thread at this moment
                complete = piece.job.take(piece.first, answers)
                ticket.open -= complete
                complete = complete and not ticket.open
            if complete and not ticket.over:
                done.append((ticket, _finished(ticket)))
        self._hand_over(done)
        with self._changed:
            if cost is not None:
                lane.learn(alive, cost)
            rows = sum(piece.last - piece.first for piece in alive)
            speed = rows / max(time.monotonic() - started, 1e-6) * len(self._threads)
            self._speed += (speed - self._speed) * (0.1 if self._speed else 1.0)

    def _hand_over(self, done: Sequence[tuple[Ticket, bytes | Exception]]) -> None:
        """One call into each event loop for all that this turn has finished."""
        for loop in {ticket.loop for ticket, _ in done}:
            own = [(ticket, result) for ticket, result in done if ticket.loop is loop]
            try:
                loop.call_soon_threadsafe(_settle, own)
            except RuntimeError:  # the loop is closed: nobody waits
                log.info("answers came after the end of the service")

    def close(self) -> None:
        """Take no more turns."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()


class Watch:
    """Notices that a caller leaves. Answers mostly come sooner than the watch begins, and then it costs nothing."""

    def __init__(self, left: Callable[[], Awaitable[object]], then: Callable[[], None]) -> None:
        self._left = left
        self._then = then
        self._task: asyncio.Task[None] | None = None
        self._timer = asyncio.get_running_loop().call_later(WATCH_SECONDS, self._begin)

    def _begin(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self._wait())

    async def _wait(self) -> None:
        await self._left()
        self._then()

    def end(self) -> None:
        """Look no longer."""
        self._timer.cancel()
        if self._task is not None:
            self._task.cancel()


def _settle(done: Sequence[tuple[Ticket, bytes | Exception]]) -> None:
    for ticket, result in done:
        ticket.settle(result)


def _finished(ticket: Ticket) -> bytes | Exception:
    try:
        return ticket.finish()
    except Exception as error:
        return error


def _refusal(error: Exception) -> Exception:
    if isinstance(error, TunewrightError) and not isinstance(error, Refusal):
        return Refusal(422, error.problem, error.remedy)
    return error
