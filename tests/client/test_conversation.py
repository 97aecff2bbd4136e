"""A conversation, told what it would hear: when it asks again, how long it waits, and what it says in the end."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest

from tunewright.client.conversation import Deadline, Got, Lost, Pause, Refused, Send, ask


class World:
    """A clock that moves by the pauses, and a list of what comes back."""

    def __init__(self, *back: Got | Lost, seconds: float = 10.0) -> None:
        self.now = 0.0
        self.back = list(back)
        self.steps: list[Send | Pause] = []
        self.deadline = Deadline(seconds, lambda: self.now)

    def talk(self, chance: float = 1.0) -> Any:
        conversation = ask("POST", "predict", b"{}", self.deadline, lambda: chance)
        given: Got | Lost | None = None
        while True:
            try:
                step = conversation.send(given)
            except StopIteration as end:
                return end.value
            self.steps.append(step)
            given = None
            if isinstance(step, Pause):
                self.now += step.seconds
            else:
                given = self.back.pop(0)

    @property
    def pauses(self) -> Sequence[float]:
        return [step.seconds for step in self.steps if isinstance(step, Pause)]


def got(status: int, body: Any = None, **headers: str) -> Got:
    return Got(status, {name.replace("_", "-"): value for name, value in headers.items()}, json.dumps(body).encode())


BUSY = got(429, {"problem": "busy", "remedy": "wait"})


def test_an_answer_needs_one_request() -> None:
    world = World(got(200, {"a": 1}))
    assert world.talk() == {"a": 1}
    assert world.steps == [Send("POST", "predict", b"{}", 10.0)]


@pytest.mark.parametrize(
    "first",
    [BUSY, got(503, {"problem": "p", "remedy": "r"}), got(502), got(500, "of a proxy"), got(504), Lost("reset")],
)
def test_what_may_pass_is_asked_again(first: Got | Lost) -> None:
    world = World(first, got(200, 1))
    assert world.talk() == 1
    assert world.pauses == [0.1]


def test_the_service_says_how_long_to_wait() -> None:
    world = World(got(429, {}, retry_after="3"), got(503, {}, retry_after="0"), got(200, 1))
    assert world.talk() == 1
    assert world.pauses == [3.0, 0.0]


@pytest.mark.parametrize("said", ["soon", "-5", "nan", "inf", "Wed, 21 Oct 2026 07:28:00 GMT"])
def test_a_wait_that_is_no_number_of_seconds_is_not_heeded(said: str) -> None:
    world = World(got(429, {}, retry_after=said), got(200, 1))
    assert world.talk() == 1
    assert world.pauses == [0.1]


def test_the_waits_grow_to_a_bound_and_are_drawn() -> None:
    world = World(*[BUSY] * 10, got(200, 1), seconds=1000)
    assert world.talk() == 1
    assert world.pauses == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 10.0, 10.0, 10.0]
    drawn = World(*[BUSY] * 3, got(200, 1))
    drawn.talk(0.25)
    assert drawn.pauses == [0.025, 0.05, 0.1]


def test_no_wait_beyond_the_deadline_and_the_last_problem_is_told() -> None:
    world = World(got(429, {"problem": "busy", "remedy": "wait"}, retry_after="60"))
    with pytest.raises(Refused, match="busy → wait") as told:
        world.talk()
    assert told.value.status == 429
    assert world.pauses == []


def test_the_deadline_is_of_all_attempts_together() -> None:
    world = World(*[BUSY] * 100, seconds=2)
    with pytest.raises(Refused, match="busy → wait"):
        world.talk()
    assert world.now < 2
    left = [step.seconds for step in world.steps if isinstance(step, Send)]
    assert left == sorted(left, reverse=True)


@pytest.mark.parametrize("status", [400, 401, 404, 413, 422, 500, 504])
def test_what_would_be_refused_again_is_not_asked_again(status: int) -> None:
    with pytest.raises(Refused, match="no → do") as told:
        World(got(status, {"problem": "no", "remedy": "do"})).talk()
    assert told.value.status == status
    assert (told.value.problem, told.value.remedy) == ("no", "do")


def test_a_service_that_is_not_there() -> None:
    with pytest.raises(Refused, match="the service cannot be reached: refused → look whether it runs") as told:
        World(*[Lost("refused")] * 50, seconds=1).talk()
    assert told.value.status == 0


@pytest.mark.parametrize("body", [b"<html>", b"[]", b'{"problem": 1}', b""])
def test_an_error_of_something_else_is_told_by_its_status(body: bytes) -> None:
    with pytest.raises(Refused, match="status 404 without a word of why → look at what stands before"):
        World(Got(404, {}, body)).talk()


def test_an_answer_that_is_no_json() -> None:
    with pytest.raises(Refused, match="the answer is no JSON → look whether the address"):
        World(Got(200, {}, b"<html>")).talk()
