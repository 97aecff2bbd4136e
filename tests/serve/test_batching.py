"""The queue under load: shared turns, deadlines, callers who leave, too many callers, one who asks what fails."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
import tracemalloc
from collections.abc import Callable, Coroutine, Sequence
from types import ModuleType
from typing import Any

import pytest

from tunewright.serve import batching as module
from tunewright.serve.batching import Batching
from tunewright.serve.lanes import Job
from tunewright.serve.limits import Limits
from tunewright.serve.pool import Clock
from tunewright.serve.problems import Refusal


class Gate:
    """A predictor that answers once it is let, and keeps what it was asked."""

    def __init__(self, bayes: ModuleType) -> None:
        self._model = bayes.topics()
        self.manifest, self.kinds = self._model.manifest, self._model.kinds
        self.open = threading.Event()
        self.calls: list[list[str]] = []

    def answers(self, inputs: Sequence[Any], *asked: Any) -> dict[str, list[Any]]:
        self.calls.append(list(inputs))
        assert self.open.wait(20)
        found: dict[str, list[Any]] = self._model.answers(inputs, *asked)
        return found


@pytest.fixture
def gate(bayes: ModuleType) -> Gate:
    return Gate(bayes)


async def stays() -> None:
    """A caller who does not leave."""
    await asyncio.Event().wait()


def ask(
    batching: Batching, predictor: Any, *rows: str, seconds: float = 20.0, left: Callable[[], Any] = stays
) -> Coroutine[Any, Any, bytes]:
    job = Job(predictor, rows)

    def finish() -> bytes:
        return " ".join(one.label or "" for part in job.whole() for one in part["topic"]).encode()

    return batching.answer([job], Clock(seconds), finish, left)


async def until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not true():
        assert time.monotonic() < end
        await asyncio.sleep(0.005)


def test_what_comes_while_a_turn_is_computed_shares_the_next(gate: Gate) -> None:
    async def main() -> list[bytes]:
        batching = Batching(Limits(threads=1))
        first = asyncio.ensure_future(ask(batching, gate, "a refund"))
        await until(lambda: len(gate.calls) == 1)
        others = [asyncio.ensure_future(ask(batching, gate, "my card", "a refund")) for _ in range(5)]
        await asyncio.sleep(0.05)
        gate.open.set()
        found = [await one for one in [first, *others]]
        batching.close()
        return found

    assert asyncio.run(main()) == [b"refund", *[b"card lost refund"] * 5]
    assert [len(call) for call in gate.calls] == [1, 10]


def test_work_whose_time_is_over_is_never_computed(gate: Gate) -> None:
    async def main() -> None:
        batching = Batching(Limits(threads=1))
        first = asyncio.ensure_future(ask(batching, gate, "a refund"))
        await until(lambda: len(gate.calls) == 1)
        with pytest.raises(Refusal, match="no answer within") as refusal:
            await ask(batching, gate, "late", seconds=0.05)
        assert refusal.value.status == 504
        gate.open.set()
        assert await first == b"refund"
        assert await ask(batching, gate, "my card") == b"card lost"
        batching.close()

    asyncio.run(main())
    assert gate.calls == [["a refund"], ["my card"]]


def test_the_rows_of_a_caller_who_leaves_are_never_computed(gate: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "WATCH_SECONDS", 0.0)

    async def main() -> None:
        batching, gone = Batching(Limits(threads=1)), asyncio.Event()
        first = asyncio.ensure_future(ask(batching, gate, "a refund"))
        await until(lambda: len(gate.calls) == 1)
        leaves = asyncio.ensure_future(ask(batching, gate, *["gone"] * 100, left=gone.wait))
        await until(lambda: batching.waiting == 100)
        gone.set()
        with pytest.raises(Refusal, match="the caller left") as refusal:
            await leaves
        assert refusal.value.status == 499
        assert batching.waiting == 0
        gate.open.set()
        await first
        batching.close()

    asyncio.run(main())
    assert gate.calls == [["a refund"]]


def test_a_cancelled_request_leaves_too(gate: Gate) -> None:
    async def main() -> None:
        batching = Batching(Limits(threads=1))
        first = asyncio.ensure_future(ask(batching, gate, "a refund"))
        await until(lambda: len(gate.calls) == 1)
        second = asyncio.ensure_future(ask(batching, gate, "b"))
        await until(lambda: batching.waiting == 1)
        second.cancel()
        with pytest.raises(asyncio.CancelledError):
            await second
        assert batching.waiting == 0
        gate.open.set()
        await first
        batching.close()

    asyncio.run(main())


def test_ten_times_too_many_callers(gate: Gate) -> None:
    """Those who fit in are answered, the others get a 429 at once, memory stays flat, and then all is as before."""
    limits = Limits(threads=1, waiting_rows=32)

    async def main() -> None:
        batching, refused = Batching(limits), 0
        first = asyncio.ensure_future(ask(batching, gate, "a refund"))
        await until(lambda: len(gate.calls) == 1)
        inside = [asyncio.ensure_future(ask(batching, gate, "my card")) for _ in range(32)]
        await until(lambda: batching.waiting == 32)

        async def storm(callers: int) -> None:
            nonlocal refused
            for _ in range(callers):
                with pytest.raises(Refusal) as refusal:
                    await ask(batching, gate, "x" * 1000)
                assert refusal.value.status == 429
                assert int(refusal.value.headers["Retry-After"]) >= 1
                refused += 1

        await storm(50)
        gc.collect()
        tracemalloc.start()
        await storm(320)
        gc.collect()
        grown, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert grown < 100_000  # a thousand characters of each would be 320,000
        gate.open.set()
        assert await first == b"refund"
        assert await asyncio.gather(*inside) == [b"card lost"] * 32
        assert await ask(batching, gate, "a refund") == b"refund"
        assert (refused, batching.waiting) == (370, 0)
        batching.close()

    asyncio.run(main())


def test_the_queue_is_bounded_by_characters_too(gate: Gate) -> None:
    async def main() -> None:
        batching = Batching(Limits(threads=1, waiting_characters=100))
        asked = [asyncio.ensure_future(ask(batching, gate, "a refund"))]
        await until(lambda: len(gate.calls) == 1)
        asked.append(asyncio.ensure_future(ask(batching, gate, "x" * 99)))
        await until(lambda: batching.waiting == 1)
        with pytest.raises(Refusal, match="the service is busy: inputs that wait: 1"):
            await ask(batching, gate, "xx")
        asked.append(asyncio.ensure_future(ask(batching, gate, "x")))
        await until(lambda: batching.waiting == 2)
        with pytest.raises(Refusal, match="inputs that wait: 2"):
            batching.check()
        gate.open.set()
        await asyncio.gather(*asked)
        batching.check()
        batching.close()

    asyncio.run(main())


def test_a_request_is_not_refused_for_a_row_of_another(bayes: ModuleType, gate: Gate) -> None:
    predictor = bayes.topics()

    async def main() -> list[Any]:
        batching = Batching(Limits(threads=1))
        first = asyncio.ensure_future(ask(batching, gate, "a refund"))
        await until(lambda: len(gate.calls) == 1)
        together = [("a refund",), ("my card", "refused"), ("broken",), ("my card",)]
        asked = [asyncio.ensure_future(ask(batching, predictor, *rows)) for rows in together]
        await until(lambda: batching.waiting == 5)
        gate.open.set()
        await first
        found = await asyncio.gather(*asked, return_exceptions=True)
        batching.close()
        return found

    one, refused, broken, other = asyncio.run(main())
    assert (one, other) == (b"refund", b"card lost")
    assert isinstance(refused, Refusal)
    assert (refused.status, refused.problem) == (422, "row 1: it is refused")
    assert isinstance(broken, RuntimeError)


def test_a_clock_that_jumps_changes_nothing(gate: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    """Deadlines are counted by the monotonic clock, which neither daylight saving nor a time server moves."""
    years, wall = [0.0], time.time
    monkeypatch.setattr(time, "time", lambda: wall() + years[0])

    async def main() -> None:
        batching = Batching(Limits(threads=1))
        asked = asyncio.ensure_future(ask(batching, gate, "a refund", seconds=15.0))
        await until(lambda: len(gate.calls) == 1)
        for years[0] in (1e9, -1e9):
            await asyncio.sleep(0.02)
            assert not asked.done()
        gate.open.set()
        assert await asked == b"refund"
        gate.open.clear()
        with pytest.raises(Refusal, match="no answer within"):
            await ask(batching, gate, "late", seconds=0.05)
        gate.open.set()
        batching.close()

    asyncio.run(main())


def test_a_turn_that_fails_in_a_way_of_its_own_ends_no_thread(gate: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        batching = Batching(Limits(threads=1))
        gate.open.set()
        with monkeypatch.context() as patch:
            patch.setattr(module, "answered", lambda pieces: ([], None))
            with pytest.raises(ValueError, match="zip"):
                await ask(batching, gate, "a refund")
        assert await ask(batching, gate, "a refund") == b"refund"
        batching.close()

    asyncio.run(main())


def test_nothing_asked_nothing_computed(gate: Gate) -> None:
    async def main() -> bytes:
        return await ask(Batching(Limits()), gate)

    assert asyncio.run(main()) == b""
    assert gate.calls == []
