"""The pool: a bounded number of threads that predict, a bounded queue before them, and the clock of a request."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, NoReturn, TypeVar

from tunewright.serve.limits import Limits
from tunewright.serve.problems import Refusal

Result = TypeVar("Result")


class Clock:
    """The time that a request has."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.end = time.monotonic() + seconds

    @property
    def left(self) -> float:
        return self.end - time.monotonic()

    def check(self) -> None:
        """Stop the work of a request that nobody waits for any more."""
        if self.left <= 0:
            self.refuse()

    def refuse(self) -> NoReturn:
        """Say that the time is over."""
        raise Refusal(
            504,
            f"no answer within {self.seconds:g} seconds",
            "send fewer or shorter texts per request, or try again when the service is less busy",
        ) from None


class Pool:
    """Runs work in threads, so that the event loop never waits for it."""

    def __init__(self, limits: Limits) -> None:
        self._executor = ThreadPoolExecutor(limits.threads, thread_name_prefix="predict")
        self._room = threading.Semaphore(limits.threads + limits.waiting_requests)

    async def run(self, work: Callable[[], Result], clock: Clock) -> Result:
        """What ``work`` returns.

        Raises
        ------
        Refusal
            429 where as many requests wait as may wait, 504 where the time is over. Work that has not begun by then is
            dropped; work under way keeps its thread, and its place, until it next looks at the clock.
        """
        if not self._room.acquire(blocking=False):
            raise Refusal(
                429, "the service is busy: too many requests wait", "try again in a second", {"Retry-After": "1"}
            )
        future = self._executor.submit(work)
        future.add_done_callback(self._leave)
        try:
            async with asyncio.timeout(max(clock.left, 0)) as timer:
                return await asyncio.wrap_future(future)
        except TimeoutError:
            if timer.expired():
                clock.refuse()
            raise

    def _leave(self, _: Future[Any]) -> None:
        self._room.release()

    def close(self) -> None:
        """Take no more work and drop what has not begun."""
        self._executor.shutdown(wait=False, cancel_futures=True)
