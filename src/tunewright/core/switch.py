"""The switch to a finished folder: whole or not at all, through kills, full disks and Ctrl-C."""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def run_folder(out: Path) -> Path:
    """``OUT.run``, where what makes ``out`` has its lock, its log and its work."""
    return out.absolute().with_name(out.name + ".run")


def publish(staged: Path, out: Path) -> None:
    """Move a finished folder to ``out``, whole or not at all.

    Where ``out`` exists it is first moved to ``OUT.run/old``. A kill between the two renames leaves a finished folder
    in ``OUT.run/ready`` and none at ``out``; the next reader or run ends the switch.
    """
    folder = staged.parent
    ready, old = folder / "ready", folder / "old"
    discard(ready)
    discard(old)
    _sync(staged)
    with _uninterrupted():
        os.rename(staged, ready)
        if out.exists():
            os.rename(out, old)
        os.rename(ready, out)
        discard(old)


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
    folder = run_folder(out)
    if not folder.is_dir():
        return
    with open(folder / "lock", "a", encoding="utf-8") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return
        end_switch(out)


def end_switch(out: Path) -> None:
    """End a switch that a kill cut short; for whoever holds the run's lock."""
    folder = run_folder(out)
    ready, old = folder / "ready", folder / "old"
    if not out.exists():
        finished = next((one for one in (ready, old) if one.is_dir()), None)
        if finished is not None:
            os.rename(finished, out)
    discard(ready)
    if out.exists():
        discard(old)


def discard(path: Path) -> None:
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
