"""Work in parallel: every item once, results in order, the caller at work too, the first failure ends them all."""

from __future__ import annotations

import threading
import time

import pytest

from tunewright.runtime.parallel import in_parallel


@pytest.mark.parametrize("threads", [1, 2, 5])
@pytest.mark.parametrize("items", [0, 1, 2, 40])
def test_results_stand_in_the_order_of_the_items(threads: int, items: int) -> None:
    done: list[int] = []

    def work(item: int) -> int:
        time.sleep(0.001 * (item % 3))  # so that they end in another order
        done.append(item)
        return item * item

    assert in_parallel(work, range(items), threads) == [one * one for one in range(items)]
    assert sorted(done) == list(range(items))


def test_as_many_threads_as_asked_for_work_at_once_and_the_caller_is_one() -> None:
    together = threading.Barrier(3)

    def work(_: int) -> str:
        together.wait(timeout=60)  # passes only with three at once
        return threading.current_thread().name

    names = in_parallel(work, range(3), 3)
    assert threading.current_thread().name in names
    assert names.count("parallel") == 2


def test_one_thread_starts_no_thread() -> None:
    own = threading.current_thread()
    assert in_parallel(lambda _: threading.current_thread(), [1, 2], 1) == [own, own]


def test_a_failure_is_raised_and_no_further_work_begun() -> None:
    begun: list[int] = []

    def work(item: int) -> None:
        begun.append(item)
        raise KeyError(item)

    with pytest.raises(KeyError):
        in_parallel(work, range(1000), 2)
    assert len(begun) <= 2
