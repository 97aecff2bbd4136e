"""Scripts of letters, and which of them the tokens of texts are written in."""

from __future__ import annotations

import pytest

from tunewright.compress._scripts import RARE, script, scripts


@pytest.mark.parametrize(("letter", "name"), [("a", "LATIN"), ("я", "CYRILLIC"), ("卡", "CJK"), ("!", ""), ("3", "")])
def test_scripts(letter: str, name: str) -> None:
    assert script(letter) == name


def test_a_stray_letter_does_not_bring_its_script() -> None:
    assert scripts({"▁card": 1000, "я": 1}, RARE) == {"LATIN"}
