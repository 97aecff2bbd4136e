"""A run: its folder ``OUT.run/`` under a lock, its log, its clock, its answer to Ctrl-C, and the switch to ``OUT``."""

from __future__ import annotations

import errno
import fcntl
import json
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

Listener = Callable[[dict[str, Any]], None]


class Run:
    """What happens between the start of a command that makes a bundle and the bundle's appearance at ``out``.

    log(event, **facts) : one line of ``OUT.run/run.jsonl``, passed on to the listener (a progress display)
    stopping : true after the first Ctrl-C, or when the minutes are over
    """

    def __init__(self, folder: Path, out: Path, minutes: float, listener: Listener | None = None) -> None:
        self.folder = folder
        self.out = out
        self.started = time.monotonic()
        self.seconds = minutes * 60
        self.interrupted = False
        self._listener = listener
        self._told = False

    @property
    def elapsed(self) -> float:
        return time.monotonic() - self.started

    @property
    def left(self) -> float:
        """Seconds until the minutes are over."""
        return self.seconds - self.elapsed

    @property
    def stopping(self) -> bool:
        return self.interrupted or self.left <= 0

    def progress(self, stage: str, share: float, **facts: Any) -> None:
        """Tell the listener alone how far a stage is (0 to 1)."""
        self._tell_interrupt()
        if self._listener is not None:
            self._listener({"event": "progress", "stage": stage, "share": share, "seconds": self.elapsed, **facts})

    def log(self, event: str, **facts: Any) -> None:
        self._tell_interrupt()
        record = {"event": event, "seconds": round(self.elapsed, 3), **facts}
        with open(self.folder / "run.jsonl", "a", encoding="utf-8") as file:
            file.write(json.dumps(record, ensure_ascii=False) + "\n")
        if self._listener is not None:
            self._listener(record)

    def _tell_interrupt(self) -> None:
        if self.interrupted and not self._told:
            self._told = True
            self.log(
                "interrupted", say="stopping: the best so far is shipped; Ctrl-C again to leave everything as it was"
            )


@contextmanager
def start(out: Path, minutes: float, *, force: bool = False, listener: Listener | None = None) -> Iterator[Run]:
    """Open the run that will write ``out``; nothing of a failed or stopped run is left but its log.

    Raises
    ------
    TunewrightError
        ``out`` exists (and not ``force``), its folder cannot be written, another run holds it, the disk is full.
    """
    out = Path(os.path.abspath(out))
    folder = out.with_name(out.name + ".run")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = open(folder / "lock", "a+", encoding="utf-8")  # noqa: SIM115 - held as long as the run
    except OSError as error:
        raise TunewrightError(f"{out.parent}: cannot be written: {error.strerror}", "choose another --out") from None
    with _full_disk_said(folder), lock:
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
        _end_switch(out)
        if out.exists() and not force:
            raise TunewrightError(f"{out}: it exists already", "pass --force to replace it, or choose another --out")
        if out.exists() and not (out / "bundle.json").is_file() and (not out.is_dir() or any(out.iterdir())):
            raise TunewrightError(f"{out}: it is not a bundle, so it is not replaced", "choose another --out")
        shutil.rmtree(folder / "staged", ignore_errors=True)
        (folder / "run.jsonl").unlink(missing_ok=True)
        run = Run(folder, out, minutes, listener)
        try:
            with _ctrl_c(run):
                yield run
        except KeyboardInterrupt:
            raise Interrupted(
                "stopped before anything was shipped; nothing was changed", "start the command again"
            ) from None
        finally:
            shutil.rmtree(folder / "staged", ignore_errors=True)


@contextmanager
def _full_disk_said(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise
        free = shutil.disk_usage(folder).free // 2**20
        raise TunewrightError(
            f"{error.filename or folder}: no space left for it ({free} MB free); nothing was changed",
            "free space, or choose an --out on another disk",
        ) from error


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


def publish(staged: Path, out: Path) -> None:
    """Move a finished folder to ``out``, whole or not at all.

    Where ``out`` exists it is first moved to ``OUT.run/old``. A kill between the two renames leaves a finished folder
    in ``OUT.run/ready`` and none at ``out``; the next reader or run ends the switch.
    """
    folder = staged.parent
    ready, old = folder / "ready", folder / "old"
    _discard(ready)
    _discard(old)
    _sync(staged)
    with _uninterrupted():
        os.rename(staged, ready)
        if out.exists():
            os.rename(out, old)
        os.rename(ready, out)
        _discard(old)


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Ctrl-C is not heard here: the switch takes a moment, and half of it is not to be seen."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    previous = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, previous)


def set_aside(staged: Path, place: Path) -> None:
    """Move a finished folder that is not to be released to ``place``; an older one there goes."""
    shutil.rmtree(place, ignore_errors=True)
    os.rename(staged, place)


def recover(out: Path) -> None:
    """For readers of ``out``: end a switch to it that a kill cut short. Does nothing while a run holds it."""
    out = Path(os.path.abspath(out))
    if out.exists():
        return
    folder = out.with_name(out.name + ".run")
    if not folder.is_dir():
        return
    with open(folder / "lock", "a", encoding="utf-8") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return
        _end_switch(out)


def _end_switch(out: Path) -> None:
    folder = out.with_name(out.name + ".run")
    ready, old = folder / "ready", folder / "old"
    if not out.exists():
        finished = next((one for one in (ready, old) if one.is_dir()), None)
        if finished is not None:
            os.rename(finished, out)
    _discard(ready)
    if out.exists():
        _discard(old)


def _discard(path: Path) -> None:
    """Remove a folder, or the link to one; a kill on the way leaves nothing that looks like a finished bundle."""
    gone = path.with_name("discarded")
    shutil.rmtree(gone, ignore_errors=True)
    if path.is_symlink():
        path.unlink()
    elif path.exists():
        os.rename(path, gone)
        shutil.rmtree(gone, ignore_errors=True)


def _sync(folder: Path) -> None:
    for path in folder.rglob("*"):
        if path.is_file():
            with open(path, "rb") as file:
                os.fsync(file.fileno())
