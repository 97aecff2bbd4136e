"""The table of terms of a task: as a table, as a file, and what is wrong with it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tunewright.core.errors import TunewrightError
from tunewright.core.task import read_task, settings


@pytest.mark.parametrize("name", ["terms.toml", "terms.json"])
def test_a_file_is_read_from_the_folder_of_the_task(tmp_path: Path, name: str) -> None:
    table = {"gender": [["he", "she"]]}
    text = json.dumps(table) if name.endswith("json") else 'gender = [["he", "she"]]'
    (tmp_path / name).write_text(text)
    (tmp_path / "task.toml").write_text(f'[audit]\nterms = "{name}"\n')
    task, _ = read_task(tmp_path / "task.toml")
    assert task.audit.terms == {"gender": (("he", "she"),)}
    assert settings(task)["audit.terms.gender"] == [["he", "she"]]


def test_names_of_terms_are_free() -> None:
    task, _ = read_task(None, {"audit.terms.my.own": [["a", "b", "c"]]})
    assert task.audit.terms == {"my.own": (("a", "b", "c"),)}


@pytest.mark.parametrize(
    ("terms", "told"),
    [
        ({"gender": [["he"]]}, "audit.terms.gender: ['he'] are not two or more different words"),
        ({"gender": [["he", "he"]]}, "are not two or more different words"),
        ({"gender": [["he", " "]]}, "are not two or more different words"),
        ({"gender": ["he", "she"]}, "audit.terms.gender is no list of lists"),
        ([["he", "she"]], "audit.terms is no table"),
        ("gone.toml", "audit.terms: gone.toml cannot be read: No such file"),
    ],
)
def test_what_is_wrong_is_said(terms: Any, told: str) -> None:
    with pytest.raises(TunewrightError) as caught:
        read_task(None, {"audit.terms": terms})
    assert told in str(caught.value)


def test_a_file_that_cannot_be_parsed_is_named(tmp_path: Path) -> None:
    path = tmp_path / "terms.toml"
    path.write_text("gender = [[")
    with pytest.raises(TunewrightError, match="is neither TOML nor JSON"):
        read_task(None, {"audit.terms": str(path)})
