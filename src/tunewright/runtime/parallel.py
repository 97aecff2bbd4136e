"""Pieces of work in parallel, each done by one thread from beginning to end.

Two threads on one batch meet after every operator, and small operators have no work for the second one. A batch per
thread needs no meeting, and what Python does between two products is done side by side, too.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from itertools import count
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def in_parallel(work: Callable[[Item], Result], items: Sequence[Item], threads: int) -> list[Result]:
    """What ``work`` returns for each item, in their order. The caller's own thread is one of the threads.

    Raises
    ------
    BaseException
        What the first work to fail raised, or Ctrl-C; work under way is waited for, and none is begun any more.

    >>> in_parallel(len, ["a", "bb", ""], 2)
    [1, 2, 0]
    """
    found: dict[int, Result] = {}
    failed: list[BaseException] = []
    numbers = count()

    def work_on() -> None:
        try:
            while not failed and (at := next(numbers)) < len(items):
                found[at] = work(items[at])
        except BaseException as error:
            failed.append(error)

    others = [
        threading.Thread(target=work_on, name="parallel", daemon=True) for _ in range(min(threads, len(items)) - 1)
    ]
    for one in others:
        one.start()
    work_on()
    for one in others:
        one.join()
    if failed:
        raise failed[0]
    return [found[at] for at in range(len(items))]
