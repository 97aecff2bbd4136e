"""Watchers: those that the task names follow the run's journal, each in a thread of its own; none stops a training."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from tunewright.core import plugins
from tunewright.core.errors import GateMissed, Interrupted, TunewrightError
from tunewright.core.journal import Following, Record, Watcher
from tunewright.core.run import Run
from tunewright.core.task import Task

WAITING = 1_000
"""Records that may wait for a watcher; one that is further behind is given up."""
BEFORE = ("settings", "end")
"""Events that there are without any training."""
CLOSING_SECONDS = 30.0
"""How long a run waits at its end for a watcher to finish."""


@contextmanager
def watching(run: Run, task: Task) -> Iterator[None]:
    """Let the watchers of ``fit.watch`` follow the journal while the block runs.

    Raises
    ------
    TunewrightError
        There is no such watcher, or its library is not installed.
    """
    made = {one: _watcher(one) for one in watchers_of(task)}
    followers = [_Follower(one, watcher, run) for one, watcher in made.items()]
    run.journal.followers.extend(one.follow for one in followers)
    ended = "failed"
    try:
        yield
        ended = "interrupted" if run.interrupted else "finished"
    except (Interrupted, KeyboardInterrupt):
        ended = "interrupted"
        raise
    except GateMissed:
        ended = "refused"
        raise
    finally:
        run.note("end", ended=ended)
        for one in followers:
            one.close(ended)


def watchers_of(task: Task) -> list[str]:
    """The watchers that a task names, each once."""
    return list(dict.fromkeys(name for one in task.fit.watch.split(",") if (name := one.strip())))


def _watcher(name: str) -> Any:
    try:
        return plugins.load("watchers", name)
    except ModuleNotFoundError as error:
        library = (error.name or "").partition(".")[0]
        if library in ("", "tunewright"):
            raise
        needs = f"watcher {name!r} needs {library}, which is not installed"
        raise TunewrightError(needs, f"pip install {library}, or leave {name} out of --watch") from None


class _Follower:
    """Hands the journal's records to one watcher, whose errors and delays are its own.

    The watcher is made when the training begins: until then it is not known what run this is that may go on.
    """

    def __init__(self, name: str, watcher: Any, run: Run) -> None:
        self._name = name
        self._watcher = watcher
        self._run = run
        self._over = False
        self._error: Exception | None = None
        self._records: queue.Queue[Record | str] = queue.Queue(WAITING)
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)

    def follow(self, record: Record) -> None:
        """Pass a record on; where the watcher failed, or is far behind, that is said once and no more is passed on."""
        if self._over:
            return
        if record["event"] not in BEFORE and self._thread.ident is None:
            with suppress(OSError):  # then it is the watcher that fails
                self._run.work.mkdir(parents=True, exist_ok=True)
            self._thread.start()
        try:
            self._records.put_nowait(record)
        except queue.Full:
            self._give_up(f"it is {WAITING:,} records behind")
        self._look()

    def close(self, ended: str) -> None:
        """Let the watcher finish, and wait for it a while."""
        if self._over or self._thread.ident is None:
            return
        with suppress(queue.Full):
            self._records.put_nowait(ended)
        self._thread.join(CLOSING_SECONDS)
        if self._thread.is_alive():
            self._give_up(f"it did not finish in {CLOSING_SECONDS:.0f} seconds")
        self._look()

    def _look(self) -> None:
        if self._error is not None and not self._over:
            said = " ".join(str(self._error).split())
            self._give_up(f"{type(self._error).__name__}: {said:.300}")

    def _give_up(self, why: str) -> None:
        self._over = True
        self._run.log("unwatched", watcher=self._name, say=f"watcher {self._name} is switched off: {why}")

    def _work(self) -> None:
        try:
            following = Following(self._run.out.name, self._run.folder, self._run.work)
            watcher: Watcher = self._watcher(following)
            while not isinstance(one := self._records.get(), str):
                watcher.note(one)
            watcher.close(one)
        except Exception as error:
            self._error = error
