"""A run: its folder ``OUT.run/`` under a lock, its log, its clock, and its answer to Ctrl-C."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tunewright.core.errors import Interrupted, TunewrightError
from tunewright.core.journal import Journal, Lines
from tunewright.core.switch import discard, end_switch, publish, run_folder

Listener = Callable[[dict[str, Any]], None]
BUNDLE = ("bundle.json", "a bundle")
"""The file that tells what a run made, and what that is called."""
JOURNALED = ("settings", "epoch", "astray", "rung", "result")
"""Events of the log that stand in the journal too."""


class Run:
    """What happens between the start of a command that makes a bundle and the bundle's appearance at ``out``.

    log(event, **facts) : one line of ``OUT.run/run.jsonl``, passed on to the listener (a progress display)
    journal : ``OUT.run/train.jsonl``, the figures of its training
    stopping : true after the first Ctrl-C, or when the minutes are over
    """

    def __init__(
        self,
        folder: Path,
        out: Path,
        minutes: float,
        listener: Listener | None = None,
        *,
        force: bool = False,
        mark: str = BUNDLE[0],
    ) -> None:
        self.folder = folder
        self.out = out
        self.started = time.monotonic()
        self.seconds = minutes * 60
        self.interrupted = False
        self.work = folder / "work"
        """Where what outlives a kill is kept, made by the first who keeps something; see ``continues``."""
        self.elsewhere: Callable[..., Any] | None = None
        """Makes its trainings by gradient in other processes, where there are several; see ``train/workers/``."""
        self._force = force
        self._mark = mark
        self._listener = listener
        self._told = False
        self._lines = Lines(folder / "run.jsonl", self._tell)
        self.journal = Journal(folder / "train.jsonl", lambda said: self.log("unkept", say=said))

    @property
    def elapsed(self) -> float:
        """Seconds since the start; a training that goes on puts the clock forward to what it showed then."""
        return time.monotonic() - self.started

    @property
    def left(self) -> float:
        """Seconds until the minutes are over."""
        return self.seconds - self.elapsed

    @property
    def stopping(self) -> bool:
        return self.interrupted or self.left <= 0

    def reach(self, seconds: float) -> None:
        """Put the clock forward to ``seconds``, if it shows less: what a checkpoint took to reach counts again."""
        self.started = min(self.started, time.monotonic() - seconds)

    def continues(self, key: str) -> None:
        """Take up what an earlier run with the same key kept: a digest of everything that the result depends on.

        What was kept under other keys is left as it is, beside this, until a bundle is released.

        Raises
        ------
        TunewrightError
            ``out`` exists, not ``force``, and it was not made by a run with this key that was killed at its end.
        """
        self.work = self.folder / f"work-{key[:16]}"
        if self.out.exists() and not self._force and not _made(self.work, self.out, self._mark):
            raise _exists(self.out)
        if self.work.is_dir():
            self.log("continues", say="the same run was begun before and did not end: what it kept is taken up")
        elif any(self.folder.glob("work-*")):
            said = "a run that did not end had other rows or settings: this one starts anew, beside what that one kept"
            self.log("anew", say=said)

    def publish(self, staged: Path) -> None:
        """Move a finished folder to ``out``; a run with this key that is killed from here on may do so again."""
        self.work.mkdir(exist_ok=True)
        with open(self.work / "made", "a", encoding="ascii") as made:
            made.write(_digest(staged / self._mark) + "\n")
        publish(staged, self.out)

    def finished(self, *, released: bool = True) -> None:
        """Let go of what this run kept and, where a bundle is released, of what others did."""
        for work in [*(self.folder.glob("work-*") if released else ()), self.work]:
            discard(work)

    def progress(self, stage: str, share: float, **facts: Any) -> None:
        """Tell the listener how far a stage is (0 to 1), and the journal of a step of a training."""
        self._tell_interrupt()
        if stage == "train" and "step" in facts:
            self.journal.step(self.elapsed, facts)
        if self._listener is not None:
            self._listener({"event": "progress", "stage": stage, "share": share, "seconds": self.elapsed, **facts})

    def log(self, event: str, **facts: Any) -> None:
        self._tell_interrupt()
        record = {"event": event, "seconds": round(self.elapsed, 3), **facts}
        self._lines.add(record)
        if event in JOURNALED:
            self.note(event, **{name: value for name, value in facts.items() if name != "say"})
        if self._listener is not None:
            self._listener(record)

    def note(self, event: str, **facts: Any) -> None:
        """One line of the journal alone."""
        self.journal.write({"event": event, "seconds": round(self.elapsed, 3), **facts})

    def _tell(self, said: str) -> None:
        """To the listener alone."""
        if self._listener is not None:
            self._listener({"event": "unkept", "seconds": round(self.elapsed, 3), "say": said})

    def _tell_interrupt(self) -> None:
        if self.interrupted and not self._told:
            self._told = True
            self.log(
                "interrupted", say="stopping: the best so far is shipped; Ctrl-C again to leave everything as it was"
            )


def _digest(manifest: Path) -> str:
    return hashlib.sha256(manifest.read_bytes()).hexdigest()


def _made(work: Path, out: Path, mark: str) -> bool:
    """Whether the run that kept ``work`` made what lies at ``out``."""
    try:
        return _digest(out / mark) in (work / "made").read_text(encoding="ascii").split()
    except OSError:
        return False


def _exists(out: Path) -> TunewrightError:
    return TunewrightError(f"{out}: it exists already", "pass --force to replace it, or choose another --out")


@contextmanager
def start(
    out: Path,
    minutes: float,
    *,
    force: bool = False,
    listener: Listener | None = None,
    continues: bool = False,
    makes: tuple[str, str] = BUNDLE,
) -> Iterator[Run]:
    """Open the run that will write ``out``; of a failed or stopped run its log is left, and its work.

    continues : ``Run.continues`` will be called, and may allow to replace what a killed run made
    makes : the file that a folder at ``out`` must hold to be replaced, and what such a folder is called

    Raises
    ------
    TunewrightError
        ``out`` exists (and not ``force``), its folder cannot be written, another run holds it, the disk is full.
    """
    out = Path(os.path.abspath(out))
    folder = run_folder(out)
    mark, called = makes
    with _full_disk_said(folder), _locked(folder, out):
        end_switch(out)
        kept = list(folder.glob("work-*"))
        if out.exists() and not force and not (continues and any(_made(work, out, mark) for work in kept)):
            raise _exists(out)
        if out.exists() and not (out / mark).is_file() and (not out.is_dir() or any(out.iterdir())):
            raise TunewrightError(f"{out}: it is not {called}, so it is not replaced", "choose another --out")
        shutil.rmtree(folder / "staged", ignore_errors=True)
        if not kept:
            for name in ("run.jsonl", "train.jsonl"):
                (folder / name).unlink(missing_ok=True)
        run = Run(folder, out, minutes, listener, force=force, mark=mark)
        try:
            with _ctrl_c(run):
                yield run
        except KeyboardInterrupt:
            goes_on = ": it goes on from what was kept" if run.work.is_dir() else ""
            raise Interrupted(
                "stopped before anything was shipped; nothing was changed", f"start the command again{goes_on}"
            ) from None
        finally:
            shutil.rmtree(folder / "staged", ignore_errors=True)


@contextmanager
def _locked(folder: Path, out: Path) -> Iterator[None]:
    """Hold the run's folder, made if need be, for this process alone; the lock file tells who holds it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = open(folder / "lock", "a+", encoding="utf-8")  # noqa: SIM115 - held as long as the run
    except OSError as error:
        raise TunewrightError(f"{out.parent}: cannot be written: {error.strerror}", "choose another --out") from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            holder = lock.read().strip() or "?"
            raise TunewrightError(
                f"{out}: another run (process {holder}) is writing it", "wait for it, or choose another --out"
            ) from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield


@contextmanager
def _full_disk_said(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise
        raise TunewrightError(
            f"{error.filename or folder}: no space left for it ({megabytes_free(folder)} MB free); nothing was changed",
            "free space, or choose an --out on another disk",
        ) from error


def megabytes_free(folder: Path) -> int:
    """Megabytes free on the disk of a folder."""
    return shutil.disk_usage(folder).free // 2**20


@contextmanager
def _ctrl_c(run: Run) -> Iterator[None]:
    """The first Ctrl-C asks the run to stop with its best so far, the second raises KeyboardInterrupt."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def on_signal(number: int, frame: object) -> None:
        if run.interrupted:
            raise KeyboardInterrupt
        run.interrupted = True  # told at the next event: a listener may be in the midst of printing

    previous = signal.signal(signal.SIGINT, on_signal)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, previous)
