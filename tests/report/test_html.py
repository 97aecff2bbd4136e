"""The page: verdict first, both languages, nothing from outside, everything escaped, and it grows by itself."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tunewright import report
from tunewright.audit import Context, Training, audit, judge
from tunewright.core.types import Exhibit, Finding
from tunewright.kinds.classify import Classify
from tunewright.kinds.multilabel import Multilabel
from tunewright.kinds.regress import Regress
from tunewright.report import html
from tunewright.report.html import page

VOID = {"meta", "input", "br", "hr", "img", "link", "rect", "line", "wbr", "circle", "polyline", "polygon"}


class Outline(HTMLParser):
    """Tags, attributes and texts by language; fails on tags that do not close in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[tuple[str, str]] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.said: dict[str, list[str]] = {"en": [], "zh": [], "": []}
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attributes)))
        classes = (dict(attributes).get("class") or "").split()
        if tag not in VOID or tag in ("rect", "circle"):
            self.open.append((tag, next((one for one in ("en", "zh") if one in classes), "")))

    def handle_startendtag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attributes)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop()[0] == tag

    def handle_data(self, data: str) -> None:
        language = next((one for _, one in reversed(self.open) if one), "")
        self.said[language].append(data)

    def text(self, language: str) -> str:
        """What a reader of one language sees."""
        return " ".join(self.said[language] + self.said[""])


@pytest.fixture
def outline(record: dict[str, Any], findings: list[Finding]) -> Outline:
    return Outline(page(record, findings))


def test_the_first_screen_gives_verdict_headline_and_gates(outline: Outline, findings: list[Finding]) -> None:
    accuracy = findings[0]
    english = outline.text("en").replace("\u2060", "")
    assert "Refused" in english
    assert "1 of 2 gates missed, so this bundle is not released." in english
    right = f"{(accuracy.value or 0) * 100:.0f}"
    low, high = (accuracy.low or 0) * 100, (accuracy.high or 0) * 100
    assert f"Of 100 new rows about {right} are answered right (95 % interval {low:.1f}–{high:.1f}, n = 200)." in english
    assert "Next step" in english


def test_both_languages_say_the_same_things(outline: Outline) -> None:
    chinese = outline.text("zh").replace("\u2060", "")
    for word in ("已拒绝", "2 项门槛中有 1 项未达标", "每 100 条新数据中", "准确率", "测量内容", "可靠性图"):
        assert word in chinese
    assert len(outline.said["zh"]) == len(outline.said["en"])


def test_the_language_is_switched_without_script(record: dict[str, Any], findings: list[Finding]) -> None:
    for language in ("en", "zh"):
        outline = Outline(page(record | {"language": language}, findings))
        radios = [attributes for tag, attributes in outline.tags if attributes.get("type") == "radio"]
        assert [one["id"] for one in radios if "checked" in one] == [f"lang-{language}"]
        labels = {attributes.get("for") for tag, attributes in outline.tags if tag == "label"}
        assert labels == {"lang-en", "lang-zh"}
        assert "script" not in {tag for tag, _ in outline.tags}


def test_nothing_is_fetched_from_anywhere(record: dict[str, Any], findings: list[Finding]) -> None:
    text = page(record, findings)
    outline = Outline(text)
    for _, attributes in outline.tags:
        assert "src" not in attributes
        assert (attributes.get("href") or "#").startswith("#")
    assert not re.search(r"https?://|url\(|@import", text)


def test_names_with_markup_are_shown_as_text(record: dict[str, Any], findings: list[Finding], hostile: str) -> None:
    text = page(record, findings)
    assert "<script" not in text
    assert "49" not in re.findall(r"\*b\* (\S+)", text)
    assert "&lt;script&gt;alert(1)&lt;/script&gt; &amp;" in text
    outline = Outline(text)
    assert hostile in " ".join(outline.said[""])
    assert "intents <&>" in outline.said[""]
    assert "3 rows <b>occur</b> twice" in outline.text("en")


def test_each_audit_has_a_section_with_how_to_read_it(outline: Outline, findings: list[Finding]) -> None:
    sections = {attributes.get("id") for tag, attributes in outline.tags if tag == "section"}
    assert sections == {finding.audit for finding in findings} | {"check", "made"}
    assert outline.text("en").count("How to read it") == len(sections) - 2
    assert len([tag for tag, attributes in outline.tags if tag == "svg" and attributes["class"] == "plot"]) >= 4


@pytest.mark.parametrize(
    ("gates", "said"),
    [({}, "Measured"), ({"accuracy": ">= 0.5"}, "Released"), ({"accuracy": ">= 0.999"}, "Refused")],
)
def test_the_verdict_is_one_of_three(
    about: dict[str, Any], findings: list[Finding], gates: dict[str, str], said: str
) -> None:
    judged = judge([replace(finding, limit=None, passed=None) for finding in findings], gates)
    text = Outline(page(report.record(about, judged), judged)).text("en")
    assert [one for one in ("Measured", "Released", "Refused") if one in text.split()] == [said]


def test_what_was_not_run_is_said_on_the_first_screen_and_in_its_section(about: dict[str, Any]) -> None:
    context = Context(Classify(("a", "b")), [[0.1, 0.2]])
    findings = audit(context, only=["calibration", "accuracy"])
    outline = Outline(page(report.record(about, findings), findings))
    assert "measurements have no value" in outline.text("en")
    assert "not run, because the rows have no labels" in outline.text("en")
    assert "未运行，因为数据没有标签" in outline.text("zh")
    assert "Accuracy could not be measured." in outline.text("en")


def test_a_count_has_no_decimals_and_a_share_has_three() -> None:
    assert html.figure(Finding("x", "pairs", 1.0)) == "1"
    assert html.figure(Finding("x", "accuracy", 1.0, 0.9, 1.0)) == "1.000"
    assert html.figure(Finding("x", "ece", 0.01234)) == "0.012"
    assert html.figure(Finding("x", "ece", None)) == "–"


def test_77_classes_stay_readable_and_small(about: dict[str, Any]) -> None:
    draw = np.random.default_rng(0)
    truth = draw.integers(0, 77, 3080)
    kind = Classify(tuple(f"a_rather_long_name_of_a_class_{at}" for at in range(77)))
    logits = draw.normal(0, 1, (3080, 77)) + 3.5 * np.eye(77)[truth]
    findings = audit(Context(kind, logits, truth, {"text": ["x"] * 3080}, train=Training({}, truth)))
    text = page(report.record(about, findings), findings)
    assert len(text.encode()) < 300_000
    folded = re.findall(r"<details><summary>.*?</summary>\s*<div class=\"wide tall\">", text, re.DOTALL)
    assert len(folded) == 2


@pytest.mark.parametrize("kind", ["multilabel", "regress"])
def test_other_kinds_have_a_report_too(about: dict[str, Any], kind: str) -> None:
    draw = np.random.default_rng(0)
    if kind == "regress":
        truth = draw.normal(0, 1, 200)
        context = Context(
            Regress(0.0, 1.0), truth[:, None] + 0.3, truth, {"text": ["x"] * 200}, train=Training({}, truth)
        )
    else:
        marks = draw.integers(0, 2, (200, 3)).astype(np.uint8)
        logits = 2.0 * marks - 1 + draw.normal(0, 1, (200, 3))
        context = Context(Multilabel(("a", "b", "c"), (0.5,) * 3), logits, marks, {"text": ["x"] * 200})
    findings = audit(context)
    text = Outline(page(report.record(about, findings), findings)).text("en")
    expected = {"regress": "The model explains about", "multilabel": "Micro F1 is"}
    assert expected[kind] in text


def test_an_exhibit_of_an_unknown_form_is_a_table(about: dict[str, Any]) -> None:
    exhibit = Exhibit("A new view", "heat", ("a", "b"), ((1, "<x>"),))
    findings = [Finding("novelty", "x", 0.5, exhibits=(exhibit,))]
    outline = Outline(page(report.record(about, findings), findings))
    assert "A new view" in outline.said[""]
    assert "<x>" in outline.said[""]


@pytest.fixture
def third_party(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """An audit in an installed package, found by its entry point."""
    (tmp_path / "third_party_brevity.py").write_text(
        '"""How short the inputs are.\n\nDefinition: characters per row.\n\nHow to read: shorter is shorter.\n"""\n'
        "from tunewright.core.types import Exhibit, Finding\n"
        "NEEDS = frozenset({'inputs'})\nKINDS = None\n"
        "ZH_DOC = '输入有多短。\\n\\n定义：每行字符数。'\nZH = {'mean_characters': '平均字符数'}\n"
        "def metrics(kind):\n    return ('mean_characters',)\n"
        "def run(context):\n"
        "    sizes = [len(text) for column in context.inputs.values() for text in column]\n"
        "    shown = Exhibit('Sizes', 'bars', ('row', 'characters'), (('all', float(sum(sizes))),))\n"
        "    mean = sum(sizes) / len(sizes)\n"
        "    return [Finding('brevity', 'mean_characters', mean, n=len(sizes), exhibits=(shown,))]\n",
        encoding="utf-8",
    )
    info = tmp_path / "third_party_brevity-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: third-party-brevity\nVersion: 1.0\n", encoding="utf-8")
    (info / "entry_points.txt").write_text("[tunewright.audits]\nbrevity = third_party_brevity\n", encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield "brevity"
    sys.modules.pop("third_party_brevity", None)


def test_an_audit_of_a_third_party_shows_up_by_itself(
    third_party: str, context: Context, about: dict[str, Any]
) -> None:
    findings = judge(audit(context), {"mean_characters": "< 10"})
    outline = Outline(page(report.record(about, findings), findings))
    assert third_party in {attributes.get("id") for tag, attributes in outline.tags if tag == "section"}
    english, chinese = outline.text("en"), outline.text("zh")
    for said in ("How short the inputs are.", "Characters per row.", "Shorter is shorter.", "Mean characters"):
        assert said in english
    for said in ("输入有多短。", "每行字符数。", "平均字符数"):
        assert said in chinese
    assert "Refused" in english


def test_findings_of_an_audit_that_is_gone_are_shown_all_the_same(about: dict[str, Any]) -> None:
    findings = [Finding("vanished", "some_measure", 0.25, 0.2, 0.3, 10)]
    text = Outline(page(report.record(about, findings), findings)).text("en")
    assert "Vanished" in text
    assert "Some measure" in text
    assert "0.200–0.300" in text


def test_a_comparison_begins_with_its_sentence_and_shows_both_bundles(context: Context) -> None:
    before = replace(context, logits=np.roll(context.logits, 7, 0))
    found = audit(replace(context, before=before), only=["compare"])
    told = {"A": {"name": "old <b>", "digest": "sha256:1"}, "B": {"name": "new", "digest": "sha256:2"}}
    shown = Outline(page(report.record({"name": "old → new"}, found) | {"compared": told}, found))
    assert html.sentence(found)[0].startswith("B is better by ")
    for language, sentence in zip(("en", "zh"), html.sentence(found), strict=True):
        assert sentence in shown.text(language).replace("\u2060", "")
    for language, said in (("en", "The two bundles"), ("zh", "两个模型包"), ("en", "rows.jsonl"), ("", "old <b>")):
        assert said in shown.text(language)
    assert "No gate is set" not in shown.text("en")
    assert "private text" not in shown.text("en")
