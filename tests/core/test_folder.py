"""A new folder: whole or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from tunewright.core.errors import TunewrightError
from tunewright.core.folder import new_folder


def test_it_appears_at_the_end(tmp_path: Path) -> None:
    out = tmp_path / "further" / "out"
    with new_folder(out) as staged:
        (staged / "file").write_text("1", encoding="utf-8")
        assert not out.exists()
    assert (out / "file").read_text(encoding="utf-8") == "1"
    assert list(out.parent.iterdir()) == [out]


def test_an_error_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), new_folder(tmp_path / "out") as staged:
        (staged / "none" / "file").touch()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("make", [Path.mkdir, Path.touch])
def test_what_is_there_is_never_replaced(make: object, tmp_path: Path) -> None:
    make(tmp_path / "out")  # type: ignore[operator]
    problem = "out: it exists already → choose another --out"
    with pytest.raises(TunewrightError, match=problem), new_folder(tmp_path / "out"):
        pass
    assert len(list(tmp_path.iterdir())) == 1


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(TunewrightError, match="file: cannot be written: "), new_folder(tmp_path / "file" / "out"):
        pass
