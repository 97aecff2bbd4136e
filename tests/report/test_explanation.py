"""Explanations as a page and in a terminal: nothing of a text runs, nothing of it is lost."""

from __future__ import annotations

import html
import re
from io import StringIO
from typing import Any

import pytest
from rich.console import Console

from tunewright.kinds.classify import Classify
from tunewright.kinds.regress import Regress
from tunewright.report.explanation import ZH, notes, page, terminal

TEXT = 'stolen <script>alert("1")</script>\n  & {{ 7*7 }} [bold]not[/bold]'


@pytest.fixture
def model(planted: Any, hostile: str) -> Any:
    kinds = {"topic": Classify(("other", hostile)), "size": Regress(0.0, 1.0)}
    return planted(kinds, {"topic": {"stolen": (0.0, 3.0), "not": (0.0, -2.0)}, "size": {"not": (1.0,)}})


def body_of(made: str) -> str:
    found = re.search(r'<div class="text">(.*?)</div>', made, re.DOTALL)
    assert found is not None
    return found[1]


def test_a_script_in_a_text_does_not_run(model: Any, hostile: str) -> None:
    made = page("bundle <b>", {"text": TEXT}, model.explain([TEXT]))
    assert "<script" not in made
    assert "<b>" not in body_of(made)
    assert html.escape(hostile, quote=False)[:20] in made
    assert "bundle &lt;b&gt;" in made


def test_nothing_is_loaded_from_outside(model: Any) -> None:
    made = page("bundle", {"text": TEXT}, model.explain([TEXT]))
    assert not re.search(r"(src|href)=|https?:|@import|url\(", made)


def test_the_whole_text_stands_in_the_page(model: Any) -> None:
    inside = body_of(page("bundle", {"text": TEXT}, model.explain([TEXT])))
    assert html.unescape(re.sub(r"</?mark[^>]*>", "", inside)) == TEXT


def test_the_strongest_word_has_the_strongest_colour(model: Any) -> None:
    inside = body_of(page("bundle", {"text": TEXT}, model.explain([TEXT])))
    marks = re.findall(r'<mark class="(\w+)" style="--share:(\d+)%" title="([^"]+)">(\w+)', inside)
    assert ("for", "70", "+3.000", "stolen") in marks
    assert ("against", "47", "-2.000", "not") in marks


@pytest.mark.parametrize(("text", "language"), [("stolen card", "en"), ("我的卡被偷了", "zh")])
def test_it_opens_in_the_language_of_the_text(model: Any, text: str, language: str) -> None:
    made = page("bundle", {"text": text}, model.explain([text]))
    assert f'<html lang="{language}">' in made
    assert f'id="lang-{language}" checked' in made
    assert "speaks against it" in made
    assert "反对" in made


def test_all_notes_are_told_in_both_languages(model: Any) -> None:
    long = " ".join(f"w{at}" for at in range(40))
    found = [one for way in ("occlusion", "lime") for target in ("topic", "size")
             for one in model.explain([long], way, target=target)]  # fmt: skip
    told = {text for one in found for text in notes(one)}
    assert "40 words stand in 20 pieces: neighbours are left out together" in told
    assert len(told) == len(ZH)
    made = page("bundle", {"text": long}, found)
    assert "40 个词合为 20 个片段" in made
    assert all(made.count(text.split("{")[0]) for text in ZH.values())


def test_a_terminal_shows_the_text_and_the_strongest_pieces(model: Any) -> None:
    out = StringIO()
    console = Console(file=out, force_terminal=True, color_system="standard", width=200)
    for line in terminal({"text": TEXT}, model.explain([TEXT]), top=2):
        console.print(line, soft_wrap=True)
    plain = re.sub(r"\x1b\[[0-9;]*m", "", out.getvalue())
    assert TEXT in plain
    assert re.search(r"\+3\.000  stolen\s+-2\.000  not\s", plain)
    assert "\x1b[1;7;32mstolen" in out.getvalue()
    assert "\x1b[1;7;31mnot" in out.getvalue()
