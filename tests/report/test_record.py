"""The record: findings, how the model was made, and only what JSON has."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import numpy as np

from tunewright import report
from tunewright.core.types import Exhibit, Finding

KEYS = {"audit", "metric", "value", "low", "high", "n", "limit", "passed", "slice", "source", "note"}


def test_it_holds_every_finding_with_all_its_facts(record: dict[str, Any], findings: list[Finding]) -> None:
    assert record["findings"] == [finding.record() for finding in findings]
    assert all(set(finding) == KEYS for finding in record["findings"])


def test_the_verdict_counts_gates(record: dict[str, Any], about: dict[str, Any]) -> None:
    assert record["verdict"] == {"released": False, "gates": 2, "missed": ["macro_f1"]}
    assert report.record(about, [])["verdict"] == {"released": True, "gates": 0, "missed": []}


def test_settings_stand_under_their_dotted_names_with_their_sources(record: dict[str, Any]) -> None:
    settings = {one["name"]: (one["value"], one["source"]) for one in record["settings"]}
    assert settings["seed"] == (5, "flag")
    assert settings["fit.minutes"] == (2.0, "file")
    assert settings["targets.0.column"] == ("category", "flag")
    assert settings["gates"] == ({}, "")


def test_how_the_model_was_made_is_told(record: dict[str, Any]) -> None:
    assert record["method"] == {"name": "probe", "strength": 10.0}
    assert record["backbone"]["source"] == "folder"
    assert "config" not in record["backbone"]
    assert [rung["method"] for rung in record["rungs"]] == ["probe", "full"]
    assert record["seed"] == 5
    assert record["data"]["digest"] == "sha256:abc"
    assert record["run"] == {"seconds": 12.0}
    assert record["check"][0]["problem"] == "3 rows <b>occur</b> twice"


def test_no_private_exhibit_is_in_it(record: dict[str, Any]) -> None:
    assert "Most confident mistakes" not in {one["title"] for one in record["exhibits"]}
    assert "Reliability diagram" in {one["title"] for one in record["exhibits"]}


def test_numpy_values_and_what_is_not_finite_become_json(about: dict[str, Any]) -> None:
    exhibit = Exhibit("t", "table", ("a",), ((np.float32(0.5),), (np.int64(2),), (float("nan"),)))
    made = report.record(about, [Finding("x", "y", float("inf"), exhibits=(exhibit,))])
    assert json.loads(json.dumps(made, allow_nan=False)) == made
    assert made["findings"][0]["value"] is None
    assert made["exhibits"][0]["rows"] == [[0.5], [2], [None]]


def test_issues_may_be_dataclasses(about: dict[str, Any]) -> None:
    @dataclass
    class Issue:
        level: str
        problem: str

    told = report.record(about, [], [Issue("stop", "no rows")])["check"][0]
    assert (told["level"], told["problem"], told["remedy"]) == ("stop", "no rows", "")


def test_the_manifest_is_left_as_it_was(about: dict[str, Any]) -> None:
    before = repr(about)
    report.record(about, [])
    assert repr(about) == before
