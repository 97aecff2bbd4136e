"""Nearest training rows: by cosine, with label and place; the row itself comes first."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tunewright
from tunewright import samples
from tunewright.core.errors import TunewrightError
from tunewright.pipeline import nearest
from tunewright.pipeline.nearest import nearest_rows

TRAIN = samples.path("support_train.csv")


def test_they_are_those_with_the_largest_cosine(
    tiny_bundle: Path, sample_rows: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows, predictor = sample_rows["support_train.csv"], tunewright.load(tiny_bundle)
    text = rows[7]["text"]
    monkeypatch.setattr(nearest, "AT_ONCE", 50)
    found = nearest_rows(predictor, {"text": text}, TRAIN, 4)
    vectors = predictor.embed([row["text"] for row in rows])
    cosine = vectors @ predictor.embed([text])[0]
    order = np.argsort(-cosine, kind="stable")[:4].tolist()
    assert [one.similarity for one in found] == pytest.approx(cosine[order].tolist(), abs=1e-5)
    assert found[0].similarity == pytest.approx(1.0, abs=1e-5)
    assert [one.texts["text"] for one in found] == [rows[at]["text"] for at in order]
    assert [list(one.labels.values()) for one in found] == [[rows[at]["intent"]] for at in order]
    assert found[0].place.endswith(f"support_train.csv line {order[0] + 2}")


def test_the_command_lists_them(cli: Callable[..., Any], tiny_bundle: Path, tmp_path: Path) -> None:
    page = tmp_path / "why.html"
    words = ("explain", tiny_bundle, "where is my order", "--train", TRAIN, "--nearest", 3)
    ran = cli(*words, "--out", page)
    assert ran.code == 0
    assert ran.out.count("support_train.csv line") == 3
    assert page.read_text(encoding="utf-8").count("support_train.csv line") == 3
    told = json.loads(cli(*words, "--json").out)
    assert [set(one) for one in told["nearest"]] == [{"place", "similarity", "texts", "labels"}] * 3
    assert "nearest" not in json.loads(cli(*words[:3], "--json").out)


def test_what_cannot_be_listed(tiny_bundle: Path, tmp_path: Path) -> None:
    predictor, row = tunewright.load(tiny_bundle), {"text": "where is it"}
    with pytest.raises(TunewrightError, match="the 0 nearest rows are none"):
        nearest_rows(predictor, row, TRAIN, 0)
    with pytest.raises(TunewrightError, match="intent"):
        nearest_rows(predictor, row, {"text": ["a"]}, 1)
    with pytest.raises(TunewrightError, match="it has no rows"):
        nearest_rows(predictor, row, {"text": [], "intent": []}, 1)
    parts = {name: part for name, part in predictor.manifest.parts.items() if name != "embed"}
    predictor.manifest = replace(predictor.manifest, parts=parts)
    with pytest.raises(TunewrightError, match="gives no vectors of its rows → leave out --train"):
        nearest_rows(predictor, row, TRAIN, 1)
