"""Words: both languages for everything, sentences with interval and n, and names left alone."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tunewright.report import html, words
from tunewright.report.chinese import CHINESE


@pytest.mark.parametrize(
    ("value", "low", "high", "english", "chinese"),
    [
        (0.927, 0.917, 0.936, "Of 100 new rows about 93 are answered right (95 % interval 91.7–93.6, n = 3,080).",
         "每 100 条新数据中，约有 93 条答对（95%区间 91.7–93.6，n = 3,080）。"),
        (0.9961, 0.993, 0.998, "Of 1,000 new rows about 996 are answered right (95 % interval 993.0–998.0, n = 3,080).",
         "每 1,000 条新数据中，约有 996 条答对（95%区间 993.0–998.0，n = 3,080）。"),
        (0.5, None, None, "Of 100 new rows about 50 are answered right (n = 3,080).",
         "每 100 条新数据中，约有 50 条答对（n = 3,080）。"),
    ],
)  # fmt: skip
def test_accuracy_in_a_sentence(
    value: float, low: float | None, high: float | None, english: str, chinese: str
) -> None:
    assert words.sentence("accuracy", value, low, high, 3080) == (english, chinese)


def test_other_measures_have_a_plain_sentence() -> None:
    assert words.sentence("mae", 0.41, 0.38, 0.44, 200) == (
        "Mean absolute error is 0.410 (95 % interval 0.380–0.440, n = 200).",
        "平均绝对误差为 0.410（95%区间 0.380–0.440，n = 200）。",
    )
    assert words.sentence("mae", None, None, None, 0)[0] == "Mean absolute error could not be measured."


def test_a_pattern_keeps_what_stands_in_it() -> None:
    assert words.translate("3 of 7 gates missed, so this bundle is not released.") == (
        "7 项门槛中有 3 项未达标，此模型包不予发布。"
    )
    assert words.translate("not run, because there are no rows") == "未运行，因为没有数据行"


def test_a_name_that_is_also_a_word_stays_a_name() -> None:
    assert words.translate("worst class: rows", {"worst class: {}": "最差的类：{}"}) == "最差的类：rows"


def test_an_audits_own_words_come_first() -> None:
    assert words.translate("rows", {"rows": "条"}) == "条"
    assert words.metric("drop", {"drop": "下降"}) == ("Drop", "下降")


@pytest.mark.parametrize(
    ("name", "english", "chinese"),
    [
        ("difference.accuracy", "Difference in accuracy", "准确率之差"),
        ("p.mae", "P value of mean absolute error", "平均绝对误差的 p 值"),
        ("baseline.r2", "Baseline R²", "基线决定系数 R²"),
    ],
)
def test_a_name_made_of_another_is_said_by_it(name: str, english: str, chinese: str) -> None:
    assert words.metric(name) == (english, chinese)


def test_what_is_unknown_stays_as_it_is() -> None:
    assert words.translate("something new") == "something new"


def test_every_text_of_the_templates_has_its_chinese() -> None:
    said = [
        text
        for path in Path(html.TEMPLATES).glob("*.html.j2")
        for text in re.findall(r'say\("([^"]+)"', path.read_text(encoding="utf-8"))
    ]
    assert len(said) > 30
    for text in said:
        shown = text.replace("%d", "7").replace("%s", "x")
        assert words.translate(shown) != shown, text


def test_no_chinese_text_is_left_with_a_hole() -> None:
    for key, chinese in CHINESE.items():
        assert key.count("{}") == len(re.findall(r"\{\d*\}", chinese)), key
