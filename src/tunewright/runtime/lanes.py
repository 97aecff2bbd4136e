"""Lanes: pieces of work side by side, each done by one thread from beginning to end.

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


def side_by_side(work: Callable[[Item], Result], items: Sequence[Item], lanes: int) -> list[Result]:
    """What ``work`` returns for each item, in their order. The caller's own thread is one of the lanes.

    Raises
    ------
    BaseException
        What the first work to fail raised, or Ctrl-C; work under way is waited for, and none is begun any more.

    >>> side_by_side(len, ["a", "bb", ""], 2)
    [1, 2, 0]
    """
    found: dict[int, Result] = {}
    failed: list[BaseException] = []
    numbers = count()

    def lane() -> None:
        try:
            while not failed and (at := next(numbers)) < len(items):
                found[at] = work(items[at])
        except BaseException as error:
            failed.append(error)

    others = [threading.Thread(target=lane, name="lane", daemon=True) for _ in range(min(lanes, len(items)) - 1)]
    for one in others:
        one.start()
    lane()
    for one in others:
        one.join()
    if failed:
        raise failed[0]
    return [found[at] for at in range(len(items))]
