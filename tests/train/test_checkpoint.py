"""Checkpoints: all comes back to the bit, half a file and a turned bit are known, a full disk loses nothing."""

from __future__ import annotations

import errno
import hashlib
import os
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file

from tunewright.core.run import Run
from tunewright.train import checkpoint
from tunewright.train.checkpoint import KEPT, Checkpoints

NUMBERS = torch.arange(6, dtype=torch.float32)
STATES: dict[str, torch.Tensor] = {
    "float32": torch.randn(3, 5, generator=torch.Generator().manual_seed(0)),
    "bfloat16": NUMBERS.bfloat16(),
    "float16": NUMBERS.half().reshape(2, 3),
    "int64": torch.tensor([[-(2**62), 2**62]]),
    "uint8": torch.arange(5, dtype=torch.uint8),
    "one number": torch.tensor(7.0),
    "no number": torch.empty(0, 4),
    "transposed": torch.arange(12.0).reshape(3, 4).T,
    "not finite": torch.tensor([float("nan"), float("inf"), -0.0]),
    "moving": torch.nn.Parameter(torch.ones(2)),
}
FACTS = {
    "place": [3, 0, 3],
    "draws": {"state": {"state": 2**127 + 1}},
    "score": 0.1 + 0.2,
    "said": "学习 é",
    "no": None,
}


@pytest.fixture
def told() -> list[dict[str, Any]]:
    return []


@pytest.fixture
def checkpoints(tmp_path: Path, told: list[dict[str, Any]]) -> Checkpoints:
    return Checkpoints(tmp_path / "full-1", Run(tmp_path, tmp_path / "out", 5, told.append))


def same(one: torch.Tensor, other: torch.Tensor) -> bool:
    """Equal to the bit, in type and shape too."""
    raw = [value.detach().contiguous().reshape(-1).view(torch.uint8) for value in (one, other)]
    return (one.dtype, one.shape) == (other.dtype, other.shape) and torch.equal(*raw)


def names(checkpoints: Checkpoints) -> list[str]:
    return sorted(path.name.partition("-")[0] for path in checkpoints.folder.iterdir())


def newest(checkpoints: Checkpoints) -> Path:
    return max(checkpoints.folder.iterdir())


def test_every_tensor_and_fact_comes_back_to_the_bit(checkpoints: Checkpoints) -> None:
    checkpoints.save(STATES, FACTS)
    found = checkpoints.latest()
    assert found is not None
    tensors, facts = found
    assert facts == FACTS
    assert list(tensors) == list(STATES)
    assert all(same(value, tensors[name]) for name, value in STATES.items())
    assert all(one.data_ptr() % 64 == 0 for one in tensors.values()), "as torch aligns every tensor of its own"
    tensors["float32"].add_(1)  # what was read is no view of the file
    again = checkpoints.latest()
    assert again is not None
    assert same(STATES["float32"], again[0]["float32"])


def test_a_file_is_what_the_library_reads_as_safetensors(checkpoints: Checkpoints) -> None:
    checkpoints.save(STATES, FACTS)
    read = load_file(newest(checkpoints))
    assert read.keys() == STATES.keys()
    assert all(same(value, read[name]) for name, value in STATES.items())


def test_where_there_is_none_there_is_none(checkpoints: Checkpoints, told: list[dict[str, Any]]) -> None:
    assert checkpoints.latest() is None
    checkpoints.folder.mkdir()
    (checkpoints.folder / "partial").write_bytes(b"half")
    assert checkpoints.latest() is None
    assert not told


def test_the_newest_is_taken_and_the_one_before_is_kept(checkpoints: Checkpoints) -> None:
    for at in range(12):
        checkpoints.save({"x": torch.tensor([at])}, {"at": at})
    assert names(checkpoints) == ["000011", "000012"]
    assert len(names(checkpoints)) == KEPT
    found = checkpoints.latest()
    assert found is not None
    assert (found[1], found[0]["x"].item()) == ({"at": 11}, 11)


def test_the_same_state_saved_twice_is_two_checkpoints(checkpoints: Checkpoints) -> None:
    for _ in range(2):
        checkpoints.save({"x": NUMBERS}, {})
    assert names(checkpoints) == ["000001", "000002"]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, bytes]:
    """A folder with two checkpoints, and the bytes of the newer one."""
    folder = tmp_path_factory.mktemp("whole")
    kept = Checkpoints(folder / "full-1", Run(folder, folder / "out", 5))
    kept.save({"x": NUMBERS}, {"at": "before"})
    kept.save({"x": NUMBERS, "y": torch.tensor(3)}, {"at": "newest"})
    return folder, newest(kept).read_bytes()


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_file_cut_anywhere_or_with_any_bit_turned_is_known(
    whole: tuple[Path, bytes], data: st.DataObject, told: list[dict[str, Any]]
) -> None:
    folder, content = whole
    told.clear()
    kept = Checkpoints(folder / "full-1", Run(folder, folder / "out", 5, told.append))
    path = next(iter(kept.folder.glob("000002-*")), None) or kept.folder / whole_name(content)
    at = data.draw(st.integers(0, len(content) - 1), "byte")
    if data.draw(st.booleans(), "cut"):
        path.write_bytes(content[:at])
    else:
        turned = bytearray(content)
        turned[at] ^= 1 << data.draw(st.integers(0, 7), "bit")
        path.write_bytes(turned)
    found = kept.latest()
    assert found is not None
    assert found[1] == {"at": "before"}
    assert [record["say"] for record in told] == [f"{path}: this checkpoint is damaged and not used"]
    assert not path.exists()


def whole_name(content: bytes) -> str:
    return f"000002-{hashlib.sha256(content).hexdigest()}.safetensors"


def test_where_all_are_damaged_training_begins_anew_and_says_so(
    checkpoints: Checkpoints, told: list[dict[str, Any]]
) -> None:
    for _ in range(2):
        checkpoints.save({"x": NUMBERS}, {})
    for path in checkpoints.folder.iterdir():
        path.write_bytes(path.read_bytes()[:-1])
    assert checkpoints.latest() is None
    assert [record["event"] for record in told] == ["damaged"] * 3
    assert told[-1]["say"] == "no checkpoint is left that is whole: the training begins anew"
    checkpoints.save({"x": NUMBERS}, {"at": 1})
    assert checkpoints.latest() is not None


def test_one_that_cannot_be_read_counts_as_damaged(checkpoints: Checkpoints, told: list[dict[str, Any]]) -> None:
    checkpoints.save({"x": NUMBERS}, {"at": 1})
    (checkpoints.folder / f"000002-{'0' * 64}.safetensors").mkdir()
    found = checkpoints.latest()
    assert found is not None
    assert found[1] == {"at": 1}
    assert "is damaged" in told[0]["say"]


class Full:
    """A disk that has no room left after so many bytes: stands for ``open``."""

    def __init__(self, room: int, code: int) -> None:
        self.room, self.code = room, code

    def __call__(self, path: Path, mode: str) -> Any:
        file = open(path, mode)  # noqa: SIM115 - closed by its user
        if "w" not in mode:
            return file
        return self.limited(file)

    @contextmanager
    def limited(self, file: Any) -> Iterator[Any]:
        def write(content: Any) -> None:
            self.room -= len(content)
            if self.room < 0:
                raise OSError(self.code, os.strerror(self.code))
            file.write(content)

        with file:
            yield SimpleNamespace(write=write)


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EIO])
@pytest.mark.parametrize("room", [0, 100, 1_000])
def test_a_full_disk_is_said_once_and_loses_nothing_that_was_complete(
    checkpoints: Checkpoints, told: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch, room: int, code: int
) -> None:
    for at in range(2):
        checkpoints.save({"x": torch.zeros(1_000)}, {"at": at})
    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "open", Full(room, code), raising=False)
        for at in (2, 3):
            checkpoints.save({"x": torch.zeros(1_000)}, {"at": at})
    assert names(checkpoints) == ["000001", "000002"], "no half file is left"
    (record,) = told
    assert record["event"] == "unkept"
    assert os.strerror(code) in record["say"]
    assert "training goes on, and what is complete stays" in record["say"]
    checkpoints.save({"x": torch.zeros(1_000)}, {"at": 4})
    found = checkpoints.latest()
    assert found is not None
    assert found[1] == {"at": 4}, "once there is room again it goes on as before"


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path, told: list[dict[str, Any]]) -> None:
    (tmp_path / "file").write_bytes(b"")
    Checkpoints(tmp_path / "file" / "full-1", Run(tmp_path, tmp_path / "out", 5, told.append)).save({}, {})
    assert "no checkpoint could be written: Not a directory" in told[0]["say"]


def test_writing_takes_no_second_copy_in_memory(checkpoints: Checkpoints, monkeypatch: pytest.MonkeyPatch) -> None:
    big = {str(at): torch.zeros(1_000_000) for at in range(8)}
    written: list[int] = []
    raw = checkpoint._bytes
    monkeypatch.setattr(checkpoint, "_bytes", lambda tensor: written.append(tensor.data_ptr()) or raw(tensor))
    tracemalloc.start()
    try:
        checkpoints.save(big, {})
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()
    assert written == [one.data_ptr() for one in big.values()]


def test_one_is_due_after_some_seconds_and_rarer_where_it_takes_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    monkeypatch.setattr(checkpoint.time, "monotonic", lambda: now[0])
    kept = Checkpoints(tmp_path / "full-1", Run(tmp_path, tmp_path / "out", 5))
    dues = []
    for now[0] in (0.0, 29.9, 30.0):
        dues.append(kept.due)
    assert dues == [False, False, True]
    write = checkpoint._write

    def slow(*arguments: Any) -> str:
        now[0] += 2.0
        return write(*arguments)

    monkeypatch.setattr(checkpoint, "_write", slow)
    kept.save({}, {})
    dues = []
    for now[0] in (32.0, 131.9, 132.0):
        dues.append(kept.due)
    assert dues == [False, False, True], "two seconds are two in a hundred after a hundred"
