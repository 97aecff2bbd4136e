"""The verb explain, from the command line to the page."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import tunewright
from tunewright import pipeline
from tunewright.core.errors import TunewrightError

TEXT = "where is my order, please?"


def test_the_command_shows_text_and_table(cli: Callable[..., Any], tiny_bundle: Path) -> None:
    ran = cli("explain", tiny_bundle, TEXT, "--top", 3)
    assert ran.code == 0
    label = tunewright.load(tiny_bundle).predict([TEXT])[0].label
    assert label in ran.out
    assert TEXT in ran.out
    lines = [line.split() for line in ran.out.splitlines() if line.strip().startswith(("+", "-"))]
    sizes = [abs(float(line[0])) for line in lines]
    assert len(sizes) == 3
    assert sizes == sorted(sizes, reverse=True)


def test_json_is_what_python_gives(cli: Callable[..., Any], tiny_bundle: Path) -> None:
    ran = cli("explain", tiny_bundle, TEXT, "--json", "--method", "lime", "--seed", 3, "--pieces", 4)
    told = json.loads(ran.out)
    (one,) = tunewright.load(tiny_bundle).explain([TEXT], "lime", seed=3, most=4)
    assert told["input"] == {"text": TEXT}
    assert told["explanations"][0]["pieces"] == [vars(piece) for piece in one.pieces]
    assert (told["explanations"][0]["words"], len(one.pieces)) == (7, 4)
    assert told["explanations"][0]["r2"] == one.r2


def test_the_page_is_written_once(cli: Callable[..., Any], tiny_bundle: Path, tmp_path: Path) -> None:
    page = tmp_path / "why.html"
    assert cli("explain", tiny_bundle, "<script>1</script>", "--out", page).code == 0
    assert "<script" not in page.read_text(encoding="utf-8")
    again = cli("explain", tiny_bundle, TEXT, "--out", page)
    assert (again.code, "it exists already" in again.err, "--force" in again.err) == (2, True, True)
    assert cli("explain", tiny_bundle, TEXT, "--out", page, "--force").code == 0
    assert ">order<" in page.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        ([""], "the text is empty: there is nothing to explain"),
        (["a", "b"], "the bundle reads 1 columns (text) and 2 texts are given"),
        (["a", "--method", "shop"], "there is no way to explain named 'shop'"),
        (["a", "--label", "nothing"], "label 'nothing' is unknown to this task"),
        (["a", "--out", "no/such/why.html"], "there is no folder no/such"),
    ],
)
def test_what_cannot_be_explained_ends_with_a_remedy(
    cli: Callable[..., Any], tiny_bundle: Path, words: list[str], problem: str
) -> None:
    ran = cli("explain", tiny_bundle, *words)
    assert ran.code == 2
    assert problem in ran.err
    assert "→" in ran.err


def test_all_targets_or_those_that_have_the_label(planted: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from tunewright.kinds.classify import Classify
    from tunewright.kinds.regress import Regress
    from tunewright.pipeline import explain as verb

    kinds = {"a": Classify(("x", "y")), "b": Regress(0.0, 1.0), "c": Classify(("y", "z"))}
    model = planted(kinds, {"a": {}, "b": {}, "c": {"late": (0.0, 2.0)}})
    monkeypatch.setitem(verb.__globals__, "load", lambda folder: model)
    assert [one.target for one in pipeline.explain("bundle", "it is late").found] == ["a", "b", "c"]
    assert [(one.target, one.label) for one in pipeline.explain("bundle", "late", label="y").found] == [
        ("a", "y"),
        ("c", "y"),
    ]
    assert [one.target for one in pipeline.explain("bundle", "late", label="z").found] == ["c"]
    with pytest.raises(TunewrightError, match="no target has a label 'zz' → did you mean 'z'|use one of"):
        pipeline.explain("bundle", "late", label="zz")
