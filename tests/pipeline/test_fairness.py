"""Groups from the rows to the report: gates on gaps, mitigation in a fit, and columns that are missing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import tunewright
from tunewright.core.errors import GateMissed, TunewrightError
from tunewright.data.rows import JOINT, rows_of
from tunewright.pipeline.folds import groups_of

pytestmark = pytest.mark.usefixtures("traced_once")


@pytest.fixture
def rows(sample_rows: dict[str, list[dict[str, str]]]) -> dict[str, list[str]]:
    """Two intents, said by two people; hers are mostly of one intent."""
    known = sorted({row["intent"] for row in sample_rows["support_train.csv"]})[:2]
    some = [row for row in sample_rows["support_train.csv"] + sample_rows["support_test.csv"] if row["intent"] in known]
    who = ["she" if (at % 4 == 0) ^ (row["intent"] == known[0]) else "he" for at, row in enumerate(some)]
    texts = [f"{one} says: {row['text']} {at}" for at, (one, row) in enumerate(zip(who, some, strict=True))]
    return {"text": texts, "intent": [row["intent"] for row in some], "who": who}


def fitted(rows: dict[str, list[str]], out: Path, backbone: Path, **settings: Any) -> Any:
    own = {"fit.backbone": str(backbone), "fit.method": "probe", "fit.threads": 1, "audit.groups": ["who"]}
    return tunewright.fit(rows, text="text", label="intent", out=out, settings=own | settings)


def test_a_fit_with_everything_on(rows: Any, tiny_backbone: Path, tmp_path: Path) -> None:
    asked = {f"fairness.{name}": True for name in ("reweigh", "augment", "thresholds")}
    told: list[dict[str, Any]] = []
    own = {"fit.backbone": str(tiny_backbone), "fit.method": "probe", "fit.threads": 1, "audit.groups": ["who"]}
    longer = {name: values * 5 for name, values in rows.items()}
    longer["text"] = [f"{text} {at}" for at, text in enumerate(longer["text"])]
    settings = own | asked | {"gates.group_gap.who": "<= 1", "split.test": 0.5}
    bundle = tunewright.fit(
        longer, text="text", label="intent", out=tmp_path / "b", settings=settings, listener=told.append
    )
    said = [one["say"] for one in told if one.get("say", "").startswith("fairness.")]
    assert [one.split(":")[0].split(",")[0] for one in said] == [
        "fairness.augment",
        "fairness.reweigh",
        "fairness.thresholds",
    ]
    assert bundle.manifest.task["fairness"] == {"reweigh": True, "augment": True, "thresholds": True}
    report = json.loads((tmp_path / "b" / "report.json").read_text(encoding="utf-8"))
    gap = next(one for one in report["findings"] if one["metric"] == "group_gap")
    assert (gap["slice"], gap["passed"], gap["limit"]) == ("who", True, "<= 1")
    assert "公平性" in (tmp_path / "b" / "report.html").read_text(encoding="utf-8")


def test_a_gate_on_groups_that_are_too_small_refuses_the_bundle(rows: Any, tiny_backbone: Path, tmp_path: Path) -> None:
    with pytest.raises(
        GateMissed, match=r"group_gap\.who <= 0\.5 is missed: too small to be judged: groups with fewer"
    ):
        fitted(rows, tmp_path / "b", tiny_backbone, **{"gates.group_gap.who": "<= 0.5"})


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"gates.group_gap.age": "<= 0.1"}, "gates.group_gap.age: the task names no group 'age' → set audit.groups"),
        ({"audit.groups": ["gender"]}, "gender"),
        ({"audit.groups": [], "fairness.reweigh": True}, "fairness.reweigh: the task names no groups"),
    ],
)
def test_what_is_missing_is_said(
    rows: Any, tiny_backbone: Path, tmp_path: Path, settings: dict[str, Any], told: str
) -> None:
    with pytest.raises(TunewrightError) as caught:
        fitted(rows, tmp_path / "b", tiny_backbone, **settings)
    assert told in str(caught.value)
    assert not (tmp_path / "b").exists()


def test_folds_know_groups_and_added_rows_stand_in_no_pool(rows: Any, tiny_backbone: Path, tmp_path: Path) -> None:
    asked = {"fairness.augment": True, "fairness.reweigh": True, "split.folds": 2}
    bundle = fitted(rows, tmp_path / "b", tiny_backbone, **asked)
    assert bundle.manifest.run["cross_validation"]["rows"] == len(rows["text"])


def test_several_columns_make_one_group(rows: Any) -> None:
    from tunewright.core.task import read_task
    from tunewright.data.dataset import read

    more = rows | {"age": [None, *[30] * (len(rows["who"]) - 1)]}
    flags = {"inputs.text": "text", "targets.0.column": "intent", "audit.groups": ["who", "age"]}
    task, _ = read_task(None, flags)
    found = groups_of(rows_of(read(more, task.data), task), task)
    assert found[:2] == [f"{rows['who'][0]}{JOINT}", f"{rows['who'][1]}{JOINT}30"]
    assert groups_of(rows_of(read(more, task.data), task), read_task(None, flags | {"audit.groups": []})[0]) == []
