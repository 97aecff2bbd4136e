"""TensorBoard: event files in OUT.run/tensorboard/, one folder for each training and one for the whole run."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

from tensorboardX.event_file_writer import EventsWriter
from tensorboardX.proto.event_pb2 import Event, SessionLog
from tensorboardX.summary import scalar, text

from tunewright.core.journal import Following, Record
from tunewright.train.watchers._points import point, settings


class TensorboardWatcher:
    """Writes as it is told: no thread and no queue of its own, so that an error shows where it happens."""

    def __init__(self, following: Following) -> None:
        self._folder = following.folder / "tensorboard"
        self._writers: dict[str, EventsWriter] = {}
        if not following.kept("tensorboard.run"):
            shutil.rmtree(self._folder, ignore_errors=True)
            following.keep("tensorboard.run", "shown in the folder tensorboard/\n")

    def note(self, record: Record) -> None:
        if record["event"] == "begin":  # what an earlier process wrote of later steps is not shown any more
            start = SessionLog(status=SessionLog.START)
            self._write(record["course"], Event(wall_time=time.time(), step=record["step"] + 1, session_log=start))
        told = settings(record)
        if told:
            table = "| setting | value |\n|---|---|\n" + "".join(
                f"| {name} | {told[name]} |\n" for name in sorted(told)
            )
            self._write("", Event(wall_time=time.time(), step=0, summary=text("settings", table)))
        found = point(record)
        if found is not None:
            for name, value in found.values.items():
                self._write(found.course, Event(wall_time=time.time(), step=found.step, summary=scalar(name, value)))
        for writer in self._writers.values():
            writer.flush()

    def close(self, ended: str) -> None:
        for writer in self._writers.values():
            writer.close()

    def _write(self, course: str, event: Event) -> None:
        if course not in self._writers:
            self._writers[course] = _writer(self._folder / course)
        self._writers[course].write_event(event)


def _writer(folder: Path) -> EventsWriter:
    """A new event file; its name holds the nanosecond, since two of a second would be one."""
    folder.mkdir(parents=True, exist_ok=True)
    return EventsWriter(str(folder / "events"), f".{time.time_ns()}")
