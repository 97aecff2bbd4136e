"""Explanations as a page and in a terminal: nothing of a text runs, nothing of it is lost."""

from __future__ import annotations

import html
import os
import re
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from tunewright import report
from tunewright.audit import Context
from tunewright.audit._drivers import driving_words
from tunewright.core.types import Finding
from tunewright.kinds.classify import Classify
from tunewright.kinds.regress import Regress
from tunewright.report.explanation import ZH, notes, page, terminal
from tunewright.report.html import page as html_page
from tunewright.runtime.explainer import Explainer, Weighed

TEXT = 'stolen <script>alert("1")</script>\n  & {{ 7*7 }} [bold]not[/bold]'


@pytest.fixture
def model(planted: Any, hostile: str) -> Any:
    kinds = {"topic": Classify(("other", hostile)), "size": Regress(0.0, 1.0)}
    return planted(kinds, {"topic": {"stolen": (0.0, 3.0), "not": (0.0, -2.0)}, "size": {"not": (1.0,)}})


def summed(name: str) -> Explainer:
    """A way that says of every piece the same."""
    return Explainer(name, float, lambda model, one, target, explained, seed: Weighed(
        np.ones((len(one.pieces), len(explained))), np.full(len(explained), -2.5), 7))  # fmt: skip


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
    found = [one for way in ("occlusion", "lime", summed("shap"), summed("ig")) for target in ("topic", "size")
             for one in model.explain([long], way, target=target)]  # fmt: skip
    told = {text for one in found for text in notes(one)}
    assert "40 words stand in 20 pieces: neighbours are left out together" in told
    assert "without any words it is -2.500, to which the weights are added" in told
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


NEAR = [
    {
        "place": "train.csv line 3",
        "similarity": 0.98,
        "labels": {"topic": "theft"},
        "texts": {"text": "a <b>stolen</b>\ncard"},
    },
    {"place": "train.csv line 9", "similarity": 0.5, "labels": {"topic": None}, "texts": {"text": "我的卡"}},
]


def test_the_nearest_training_rows_are_listed(model: Any) -> None:
    made = page("bundle", {"text": TEXT}, model.explain([TEXT]), NEAR)
    assert made.index("train.csv line 3") < made.index("train.csv line 9")
    assert "a &lt;b&gt;stolen&lt;/b&gt; card" in made
    assert "最相近的训练数据" in made
    assert "Nearest training rows" not in page("bundle", {"text": TEXT}, model.explain([TEXT]))
    lines = [line.plain for line in terminal({"text": TEXT}, model.explain([TEXT]), 1, NEAR)]
    assert lines[-3:-1] == ["nearest training rows", "   0.980  theft  a <b>stolen</b> card  train.csv line 3  "]


def test_in_a_browser(model: Any, browser: Any, tmp_path: Path) -> None:
    """Words are coloured by their weights, the switch changes the language, and nothing is wider than the screen."""
    made = page("bundle", {"text": TEXT}, model.explain([TEXT]) + model.explain([TEXT], summed("ig")), NEAR)
    file = tmp_path / "why.html"
    file.write_text(made, encoding="utf-8")
    with browser(width=500) as driver:
        driver.get(file.as_uri())
        find = lambda selector: driver.find_element("css selector", selector)  # noqa: E731
        colours = {
            one.text: one.value_of_css_property("background-color")
            for one in driver.find_elements("css selector", "section:first-of-type .text mark")
        }
        assert colours["stolen"] != colours["not"]
        assert colours["script"] not in (colours["stolen"], colours["not"])
        assert find("section .text").text.splitlines()[0] == TEXT.splitlines()[0]
        assert find("h1").text == "bundle"
        assert "Nearest training rows" in find("body").text
        find("label[for=lang-zh]").click()
        assert "最相近的训练数据" in find("body").text
        assert "Nearest training rows" not in find("body").text
        assert driver.execute_script("return document.documentElement.scrollWidth <= window.innerWidth")
        assert not driver.get_log("browser")
        if os.environ.get("TUNEWRIGHT_SCREENSHOTS"):
            find("label[for=lang-en]").click()
            driver.set_window_size(1000, 1400)
            driver.save_screenshot(str(Path(os.environ["TUNEWRIGHT_SCREENSHOTS"]) / "explanation.png"))


def test_the_words_that_drive_each_class_stand_in_the_report(planted: Any, about: dict[str, Any]) -> None:
    kind = Classify(("money", "theft"))
    model = planted({"label": kind}, {"label": {"stolen": (0.0, 4.0), "refund": (4.0, 0.0)}})
    texts = [f"{word} it is {at}" for at in range(10) for word in ("stolen", "refund")]
    context = Context(kind, model.logits_of([texts])["label"], inputs={"text": texts}, predictor=model)
    drivers = driving_words(context, model, "label", np.arange(len(texts)))
    found = [Finding("explanations", "faithfulness.occlusion", None, exhibits=(drivers,))]
    made = html_page(report.record(about, found, []), found)
    assert "Words that drive each class" in made
    assert "左右各类别的词" in made
    assert ">stolen<" in made
    assert ">refund<" in made
