"""TensorBoard: its own reader finds the curves, also of a run that was killed and went on."""

from __future__ import annotations

import errno
import logging
import os
from pathlib import Path
from typing import Any

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from tunewright.core.journal import Following
from tunewright.train.watchers.tensorboard import TensorboardWatcher


def read(folder: Path) -> EventAccumulator:
    logging.getLogger("tensorboard").setLevel(logging.ERROR)
    return EventAccumulator(str(folder)).Reload()


def scalars(folder: Path, name: str) -> list[tuple[int, float]]:
    return [(one.step, pytest.approx(one.value)) for one in read(folder).Scalars(name)]


def told(following: Following, records: list[dict[str, Any]]) -> TensorboardWatcher:
    watcher = TensorboardWatcher(following)
    for record in records:
        watcher.note(record)
    return watcher


def test_its_own_reader_finds_all_of_it(following: Following, records: list[dict[str, Any]]) -> None:
    told(following, records).close("finished")
    folder = following.folder / "tensorboard"
    assert scalars(folder / "full", "loss") == [(1, 2.0)]
    assert scalars(folder / "full", "learning_rate") == [(1, 0.01), (21, 0.01)]
    assert scalars(folder / "full", "cost_per_second") == [(1, 900.0), (21, 900.0)]
    assert scalars(folder / "full", "validation/accuracy") == [(0, 0.25), (40, 0.75)]
    assert scalars(folder / "contrastive-2", "loss") == [(1, 0.5)]
    assert scalars(folder, "rung/full/score") == [(0, 0.75)]
    assert scalars(folder, "final/accuracy") == [(0, 0.8)]
    (text,) = read(folder).Tensors("settings/text_summary")
    assert "| fit.epochs | 3 |" in text.tensor_proto.string_val[0].decode()


def test_it_can_be_read_while_it_is_written(following: Following, records: list[dict[str, Any]]) -> None:
    watcher = told(following, records[:3])
    assert scalars(following.folder / "tensorboard" / "full", "loss") == [(1, 2.0)]
    watcher.close("finished")


def test_steps_that_are_made_again_after_a_kill_are_shown_once(
    following: Following, records: list[dict[str, Any]]
) -> None:
    step, begin = records[2], records[1]
    killed = told(following, [begin, *(step | {"step": at, "loss": 1.0} for at in (1, 20, 40, 60))])
    again = told(following, [begin | {"step": 30}, *(step | {"step": at, "loss": 2.0} for at in (40, 50))])
    again.close("finished")
    found = scalars(following.folder / "tensorboard" / "full", "loss")
    assert found == [(1, 1.0), (20, 1.0), (40, 2.0), (50, 2.0)]
    killed.close("for the test alone: a process that is killed does not come to this")


def test_another_run_begins_with_an_empty_folder(following: Following, records: list[dict[str, Any]]) -> None:
    told(following, records).close("finished")
    other = Following(following.name, following.folder, following.folder / "work-2")
    other.work.mkdir()
    told(other, [records[0]]).close("finished")
    assert not (following.folder / "tensorboard" / "full").exists()


def test_a_full_disk_is_an_error_at_once(
    following: Following, records: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    from tensorboardX import record_writer

    watcher = told(following, records[:2])

    def full(*arguments: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(record_writer.RecordWriter, "flush", full)
    with pytest.raises(OSError, match="No space left"):
        watcher.note(records[2])
    monkeypatch.undo()
    watcher.close("failed")
