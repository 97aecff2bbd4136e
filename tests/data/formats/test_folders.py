"""One folder of texts per class."""

from __future__ import annotations

from pathlib import Path

import pytest

from tunewright.core.errors import TunewrightError
from tunewright.core.sections import Data
from tunewright.data.dataset import read


def planted(root: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return root


def test_labels_are_folders_and_places_are_files(tmp_path: Path) -> None:
    data = read(planted(tmp_path, {"b/2": b"two", "a/1.txt": "één".encode("cp1252"), "a/.hidden": b"no", "b/3": b""}))
    assert data.frame.rows() == [("één", "a", "a/1.txt"), ("two", "b", "b/2"), (None, "b", "b/3")]
    assert data.place(1) == f"{tmp_path}/b/2"
    assert data.encoding == "utf-8 (2 files), cp1252 (1 files)"


def test_columns_are_named(tmp_path: Path) -> None:
    data = read(planted(tmp_path, {"a/1": b"x"}), Data(columns=("body", "group")))
    assert data.frame.columns == ["body", "group", "file"]


@pytest.mark.parametrize(
    ("files", "problem"),
    [
        ({"readme": b"x"}, "there is no folder in it → give one folder of text files per class"),
        ({"train/a/1": b"x"}, "/train: it holds folders, not texts → name the folder of one part"),
        ({"a/1.jpg": b"\xff\xd8\0\0"}, r"/a/1\.jpg: this is no text file"),
    ],
)
def test_wrong_folders(tmp_path: Path, files: dict[str, bytes], problem: str) -> None:
    with pytest.raises(TunewrightError, match=problem):
        read(planted(tmp_path, files))


def test_encoding_asked_for(tmp_path: Path) -> None:
    root = planted(tmp_path, {"a/1": b"caf\xe9"})
    assert read(root, Data(encoding="latin-1")).values("text") == ["café"]
    with pytest.raises(TunewrightError, match=r"a/1 byte 3: not utf-8 → pass --set data.encoding=auto"):
        read(root, Data(encoding="utf-8"))
    with pytest.raises(TunewrightError, match="there is no encoding 'nope'"):
        read(root, Data(encoding="nope"))
