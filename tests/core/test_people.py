"""Sections for people: what a card and rules of review may say, by the message where they may not."""

from __future__ import annotations

from pathlib import Path

import pytest

from tunewright.core.errors import TunewrightError
from tunewright.core.task import read_task, settings

INPUTS = '[inputs]\ntext = "text"\n'
TARGET = '[[targets]]\ncolumn = "kind"\nlabels = ["fraud", "order"]\n'


def read(folder: Path, text: str) -> None:
    (folder / "task.toml").write_text(text, encoding="utf-8")
    read_task(folder / "task.toml")


@pytest.mark.parametrize(
    ("text", "problem", "remedy"),
    [
        (f'[review]\nlabels = ["frod"]\n{TARGET}', "review.labels names 'frod', which is no label", "'fraud'?"),
        ('[review.slices.legal]\nwrds = ["a"]', "unknown key 'review.slices.legal.wrds'", "'words'?"),
        ('[review.slices.legal]\nwords = ["a", " "]', "a word of a slice in review.slices is empty", "take it out"),
        ('[review.slices.legal]\ncolumn = "text"', "review.slices.legal has no condition", "set words"),
        (f'[review.slices.l]\ncolumn = "txt"\nwords = ["a"]\n{INPUTS}', "'txt' is no input column", "'text'?"),
        ("[review]\nbelow = 2", "review.below = 2: input should be less than or equal to 1", "schema"),
        ("[card]\ncontact = 3", "card.contact = 3 is no text", "in quotes"),
        ('[card]\ncontact = { en = "a", fr = "b" }', "card.contact has no language 'fr'", "zh ="),
        ('[card]\ncontac = "x"', "unknown key 'card.contac'", "'card.contact'?|'contact'?"),
    ],
)
def test_what_cannot_be_is_told_with_its_remedy(tmp_path: Path, text: str, problem: str, remedy: str) -> None:
    with pytest.raises(TunewrightError) as caught:
        read(tmp_path, text)
    assert problem in caught.value.problem
    assert any(one in caught.value.remedy for one in remedy.split("|"))


def test_words_are_kept_as_they_are_written() -> None:
    flags = {"card.limits": {"en": " a\n b", "zh": "乙"}, "review.slices.legal.words": ["a"], "review.below": 0.5}
    task, sources = read_task(None, flags)
    assert task.card.limits == {"en": " a\n b", "zh": "乙"}
    assert (task.review.rules, task.review.slices["legal"].words) == (True, ("a",))
    assert sources["review.below"] == "flag"
    assert settings(task)["card.limits.zh"] == "乙"
