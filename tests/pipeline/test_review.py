"""Review along the line: refused where it cannot hold, a column of the answers, a section of the report."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import polars as pl
import pytest

import tunewright
from tunewright import pipeline
from tunewright.core.bundle import MANIFEST, digest_of
from tunewright.core.errors import TunewrightError


@pytest.fixture
def ruled(tiny_bundle: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "ruled"
    shutil.copytree(tiny_bundle, folder)
    manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    manifest["task"]["review"] = {"labels": [], "below": 0.0, "slices": {"legal": {"words": ["lawyer"]}}}
    manifest["digest"] = digest_of(manifest)
    (folder / MANIFEST).write_text(json.dumps(manifest), encoding="utf-8")
    return folder


def test_python_and_files_say_it(ruled: Path, tiny_bundle: Path) -> None:
    rows = {"text": ["where is my order?", "my lawyer writes"]}
    assert [one.needs_review for one in tunewright.load(ruled).predict(rows)] == [False, True]
    (answered,) = pipeline.predict(ruled, pl.DataFrame(rows))
    assert answered["needs_review"].to_list() == [False, True]
    (plain,) = pipeline.predict(tiny_bundle, pl.DataFrame(rows))
    assert "needs_review" not in plain.columns
    assert not hasattr(tunewright.load(tiny_bundle).predict(rows)[0], "needs_review")


def test_a_bundle_is_judged_by_its_rules(ruled: Path, tiny_bundle: Path) -> None:
    rows = {"text": ["where is my order?", "my lawyer writes"] * 5, "intent": ["order_status", "refund"] * 5}
    known = tunewright.load(ruled).kind.labels
    rows["intent"] = [label if label in known else known[0] for label in rows["intent"]]
    found = {one.metric: one for one in pipeline.evaluate(ruled, pl.DataFrame(rows)) if not one.slice}
    assert (found["review_share"].value, found["review_share"].n) == (0.5, 10)
    assert found["unreviewed.accuracy"].n == 5
    assert "review_share" not in {one.metric for one in pipeline.evaluate(tiny_bundle, pl.DataFrame(rows))}


def test_a_score_needs_answers_that_have_one() -> None:
    with pytest.raises(TunewrightError, match=r"review\.below = 0\.5: no target's answers have a score"):
        pipeline.describe("x.csv", text="text", label="y", kind="regress", settings={"review.below": 0.5})
    pipeline.describe("x.csv", text="text", target=["y:regress", "z"], settings={"review.below": 0.5})


def test_an_unknown_label_stops_before_anything_is_learnt(tmp_path: Path) -> None:
    rows = {"text": [f"row {at}" for at in range(20)], "label": ["refund", "order"] * 10}
    with pytest.raises(TunewrightError, match="review.labels names 'refunt'") as caught:
        tunewright.fit(rows, text="text", label="label", out=tmp_path / "out", settings={"review.labels": ["refunt"]})
    assert caught.value.remedy == "did you mean 'refund'?"
