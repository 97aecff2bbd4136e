"""The journal of a training: when a line is due, what it tells, and what damage and a full disk do to it."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tunewright.core import journal as journal_module
from tunewright.core.journal import Following, Journal, Lines, read_journal
from tunewright.core.run import Run, start


@pytest.fixture
def told() -> list[str]:
    return []


@pytest.fixture
def journal(tmp_path: Path, told: list[str]) -> Journal:
    return Journal(tmp_path / "train.jsonl", told.append)


def begin(journal: Journal, course: str = "full", step: int = 0, seconds: float = 0.0) -> None:
    journal.write({"event": "begin", "seconds": seconds, "method": "full", "course": course, "step": step})


def steps(journal: Journal, count: int, each_seconds: float, first: int = 1, seconds: float = 0.0) -> None:
    """``count`` steps of 100 tokens that take so long each; the loss of step n is n."""
    for at in range(first, first + count):
        facts = {"method": "full", "epoch": 1, "step": at, "steps": 999, "learning_rate": 0.1, "loss": float(at)}
        journal.step(seconds + at * each_seconds, facts | {"cost": 100, "took": each_seconds, "best": 0.5})


def lines(journal: Journal) -> list[dict[str, Any]]:
    return [one for one in read_journal(journal.path) if one["event"] == "step"]


def test_a_line_tells_of_twenty_steps_that_take_a_second(journal: Journal) -> None:
    begin(journal)
    steps(journal, 61, 0.0625)
    assert [one["step"] for one in lines(journal)] == [1, 21, 41, 61]
    assert lines(journal)[1]["loss"] == pytest.approx(sum(range(2, 22)) / 20)
    assert lines(journal)[1]["cost_per_second"] == pytest.approx(100 / 0.0625)
    assert lines(journal)[1]["seconds"] == pytest.approx(21 * 0.0625, abs=1e-3)
    assert lines(journal)[1]["peak_rss_bytes"] > 1e6


@pytest.mark.parametrize(
    ("each_seconds", "expected"), [(1 / 64, [1, 65, 129, 193]), (4.0, [1, 4, 7, 10]), (30.0, [1, 2, 3, 4])]
)
def test_quick_steps_wait_for_the_second_and_slow_ones_for_ten(
    journal: Journal, each_seconds: float, expected: list[int]
) -> None:
    begin(journal)
    steps(journal, expected[-1], each_seconds)
    assert [one["step"] for one in lines(journal)] == expected


@pytest.mark.parametrize("each_seconds", [0.0005, 0.003, 0.05, 0.3])
def test_five_minutes_are_less_than_two_thousand_lines(journal: Journal, each_seconds: float) -> None:
    begin(journal)
    steps(journal, round(300 / each_seconds / (20 if each_seconds < 0.01 else 1)), each_seconds)
    assert 2 <= len(read_journal(journal.path)) < 2_000


def test_a_judgement_comes_after_the_steps_before_it(journal: Journal) -> None:
    begin(journal)
    steps(journal, 7, 0.01)
    journal.write({"event": "epoch", "seconds": 0.2, "method": "full", "step": 7, "score": 0.5})
    begin(journal, "full-2", seconds=0.3)
    steps(journal, 1, 0.01, seconds=0.3)
    found = read_journal(journal.path)
    assert [one["event"] for one in found] == ["begin", "step", "step", "epoch", "begin", "step"]
    assert [one["step"] for one in found] == [0, 1, 7, 7, 0, 1]
    assert [one["course"] for one in found] == ["full"] * 4 + ["full-2"] * 2
    assert found[2]["loss"] == pytest.approx(sum(range(2, 8)) / 6)


def test_followers_hear_every_line(journal: Journal) -> None:
    heard: list[dict[str, Any]] = []
    journal.followers.append(heard.append)
    begin(journal)
    steps(journal, 30, 0.1)
    assert heard == read_journal(journal.path)


def test_numbers_that_json_lacks_are_null(journal: Journal) -> None:
    journal.write(
        {"event": "epoch", "seconds": 0.0, "score": float("nan"), "more": [float("inf"), {"x": -float("inf")}]}
    )
    (found,) = read_journal(journal.path)
    assert (found["score"], found["more"]) == (None, [None, {"x": None}])


@pytest.mark.parametrize("torn", [b'{"event": "step", "seco', b'{"event": "step", "loss": 0.5}', b"\xff\xfe\x00"])
def test_a_run_that_goes_on_loses_only_the_line_that_was_cut(
    journal: Journal, tmp_path: Path, torn: bytes, told: list[str]
) -> None:
    begin(journal)
    with open(journal.path, "ab") as file:
        file.write(torn)
    again = Journal(journal.path, told.append)
    begin(again, step=5, seconds=9.0)
    found = read_journal(journal.path)
    assert [one.get("step") for one in found if one["event"] == "begin"] == [0, 5]
    assert len(found) == 2 + torn.endswith(b"}")
    assert not told


@pytest.mark.parametrize(
    "damaged", [b"", b"\n\n", b"[1, 2]\n", b'"step"\n', b'{"seconds": 1}\n', b'{"event": 3}\n', b"[" * 100_000 + b"\n"]
)
def test_lines_that_are_no_records_are_left_out(tmp_path: Path, damaged: bytes) -> None:
    path = tmp_path / "train.jsonl"
    path.write_bytes(b'{"event": "begin"}\n' + damaged + b'{"event": "end"}\n')
    assert [one["event"] for one in read_journal(path)] == ["begin", "end"]


def test_without_a_file_there_is_nothing_to_read(tmp_path: Path) -> None:
    assert read_journal(tmp_path / "train.jsonl") == []
    assert read_journal(tmp_path) == []


class Full:
    """Stands for ``open``: after ``room`` bytes the disk is full, and half a line may be on it."""

    def __init__(self, room: int, code: int) -> None:
        self.room, self.code = room, code

    @contextmanager
    def __call__(self, path: Path, mode: str) -> Iterator[Any]:
        with open(path, mode) as file:
            yield file if mode == "rb" else SimpleNamespace(write=lambda content: self.limited(file, content))

    def limited(self, file: Any, content: bytes) -> None:
        file.write(content[: self.room])
        if len(content) > self.room:
            raise OSError(self.code, os.strerror(self.code))
        self.room -= len(content)


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS])
@pytest.mark.parametrize("room", [0, 30, 150])
def test_a_full_disk_is_said_once_and_the_lines_go_on_when_there_is_room(
    journal: Journal, told: list[str], monkeypatch: pytest.MonkeyPatch, room: int, code: int
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(journal_module, "open", Full(room, code), raising=False)
        for at in range(5):
            begin(journal, step=at)
    assert told == [f"{journal.path}: cannot be written: {os.strerror(code)}; the run goes on without"]
    begin(journal, step=7)
    assert read_journal(journal.path)[-1]["step"] == 7
    assert all(one["event"] == "begin" for one in read_journal(journal.path)), "half a line is no record"


def test_the_log_of_a_run_may_fail_without_ending_it(tmp_path: Path) -> None:
    heard: list[dict[str, Any]] = []
    (tmp_path / "run.jsonl").mkdir()
    (tmp_path / "train.jsonl").mkdir()
    run = Run(tmp_path, tmp_path / "out", 5, heard.append)
    for at in range(3):
        run.log("epoch", method="full", step=at, score=0.5, say="told all the same")
    said = [one["say"] for one in heard if one["event"] == "unkept"]
    assert len(said) == 2
    assert f"{tmp_path / 'run.jsonl'}: cannot be written: Is a directory" in said[0]
    assert f"{tmp_path / 'train.jsonl'}: cannot be written: Is a directory" in said[1]
    assert [one["say"] for one in heard if one["event"] == "epoch"] == ["told all the same"] * 3


def test_a_run_that_begins_anew_begins_its_journal_anew(tmp_path: Path) -> None:
    path = tmp_path / "out.run" / "train.jsonl"
    with start(tmp_path / "out", 5) as run:
        run.note("begin", method="full", step=0)
        run.log("epoch", method="full", step=3, score=0.5, say="epoch 1")
        run.log("memory", say="not of the journal")
    assert [sorted(one) for one in read_journal(path)] == [
        sorted(["event", "seconds", "method", "step", *more]) for more in ([], ["score", "course"])
    ]
    with start(tmp_path / "out", 5) as run:
        assert read_journal(path) == []
        run.work = run.folder / "work-1"
        run.work.mkdir()
        run.note("begin", method="full", step=0)
    with start(tmp_path / "out", 5):
        assert len(read_journal(path)) == 1, "the run goes on"


def test_only_steps_of_a_training_are_journaled(tmp_path: Path) -> None:
    run = Run(tmp_path, tmp_path / "out", 5)
    run.progress("embed", 0.5)
    run.progress("train", 0.5)
    run.note("end", ended="finished")
    assert [one["event"] for one in read_journal(run.journal.path)] == ["end"]


def test_what_a_watcher_keeps_goes_with_the_work(tmp_path: Path) -> None:
    following = Following("out", tmp_path, tmp_path / "work")
    following.keep("x.run", "lost: the run has let go of its work")
    assert following.kept("x.run") == ""
    following.work.mkdir()
    following.keep("x.run", "id 学")
    assert following.kept("x.run") == "id 学"


@pytest.mark.parametrize("value", ["学习", "\ud800", {"deep": [1, (2, 3)]}])
def test_a_line_holds_any_value(tmp_path: Path, value: Any, told: list[str]) -> None:
    call: Callable[[dict[str, Any]], None] = Lines(tmp_path / "x.jsonl", told.append).add
    call({"event": "x", "value": value})
    written = json.loads((tmp_path / "x.jsonl").read_text(encoding="utf-8", errors="replace"))["value"]
    assert written == (json.loads(json.dumps(value)) if value != "\ud800" else "?")
