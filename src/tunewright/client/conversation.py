"""A conversation with a service, without any input or output of its own: what to send, when to wait, when to give up.

A conversation is a generator. It yields ``Send`` and is given ``Got`` or ``Lost``, or yields a ``Pause`` and is given
None; what it returns is the answer. The two clients differ only in how they send and wait.
"""

from __future__ import annotations

import json
import math
import random
import time
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from tunewright.core.errors import TunewrightError

Answer = TypeVar("Answer")

AGAIN = frozenset({429, 503})
"""Statuses of a service after which the same request may be answered a little later."""
SHORTEST_SECONDS, LONGEST_SECONDS = 0.1, 10.0
"""Bounds of the waits where the service names none; each is drawn below twice the last bound, so that callers who were
refused together do not come back together."""


class Refused(TunewrightError):
    """The service answered with an error: its problem and its remedy.

    status : of the response; 0 = there was none
    """

    def __init__(self, status: int, problem: str, remedy: str) -> None:
        super().__init__(problem, remedy)
        self.status = status

    def __reduce__(self) -> tuple[type, tuple[Any, ...]]:
        return type(self), (self.status, self.problem, self.remedy)


@dataclass(frozen=True)
class Send:
    """A request. ``seconds`` is the time it has; ``body`` is JSON."""

    method: str
    path: str
    body: bytes | None
    seconds: float


@dataclass(frozen=True)
class Pause:
    """Seconds to wait."""

    seconds: float


@dataclass(frozen=True)
class Got:
    """A response; the names of headers are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Lost:
    """There is no response, or only a part of one."""

    why: str


Conversation = Generator[Send | Pause, Got | Lost | None, Answer]


class Deadline:
    """The time that a call has, however many requests it takes."""

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.seconds = seconds
        self._clock = clock
        self._end = clock() + seconds

    @property
    def left(self) -> float:
        return self._end - self._clock()


def ask(
    method: str, path: str, body: bytes | None, deadline: Deadline, chance: Callable[[], float] = random.random
) -> Conversation[Any]:
    """The JSON that a request is answered with; asked again where the service is busy, restarts, or is lost.

    Raises
    ------
    Refused
        The service refuses it, or no answer came by the deadline: then with what hindered the last attempt.
    """
    longest, last = SHORTEST_SECONDS, _late(deadline)
    while deadline.left > 0:
        got = yield Send(method, path, body, deadline.left)
        if isinstance(got, Got) and got.status < 400:
            return _json(got)
        last, foreign = _problem(got)
        if isinstance(got, Got) and got.status not in AGAIN and not (foreign and got.status >= 500):
            raise last
        seconds = _told(got) if isinstance(got, Got) else None
        wait = longest * chance() if seconds is None else seconds
        longest = min(2 * longest, LONGEST_SECONDS)
        if wait >= deadline.left:
            break
        yield Pause(wait)
    raise last


def _told(got: Got) -> float | None:
    """Seconds that the service asks to wait for; a date in their place is not heeded."""
    try:
        seconds = float(got.headers.get("retry-after", ""))
    except ValueError:
        return None
    return seconds if math.isfinite(seconds) and seconds >= 0 else None


def _json(got: Got) -> Any:
    try:
        return json.loads(got.body)
    except ValueError:
        raise Refused(
            got.status, "the answer is no JSON", "look whether the address is that of a Tunewright service"
        ) from None


def _problem(got: Got | Lost | None) -> tuple[Refused, bool]:
    """What is wrong, and whether it is not the service that says so but something before it, such as a proxy."""
    if not isinstance(got, Got):
        why = got.why if isinstance(got, Lost) else "no answer"
        remedy = "look whether it runs and the address is right"
        return Refused(0, f"the service cannot be reached: {why}", remedy), True
    try:
        told = json.loads(got.body)
        return Refused(got.status, str(told["problem"]), str(told["remedy"])), False
    except (ValueError, KeyError, TypeError):
        problem = f"status {got.status} without a word of why"
        return Refused(got.status, problem, "look at what stands before the service"), True


def _late(deadline: Deadline) -> Refused:
    return Refused(0, f"no answer within {deadline.seconds:g} seconds", "allow more by timeout=, or ask for less")
