"""A bundle in use: rows answered chunk by chunk, what it tells of itself, damage."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import tunewright
from tunewright import pipeline, samples
from tunewright.core.bundle import read_manifest
from tunewright.core.errors import DamagedBundle, TunewrightError

TEST = samples.path("support_test.csv")


def test_rows_come_back_in_order_with_their_columns_from_any_source(tiny_bundle: Path) -> None:
    frame = pl.read_csv(TEST)
    wanted = [one.label for one in tunewright.load(tiny_bundle).predict(frame["text"].to_list())]
    for source in (TEST, frame, frame.to_pandas(), frame.to_dict(as_series=False)):
        (found,) = pipeline.predict(tiny_bundle, source)
        assert found.columns == ["text", "intent", "prediction", "score"]
        assert found["text"].to_list() == frame["text"].to_list()
        assert found["prediction"].to_list() == wanted


def test_many_rows_come_in_chunks_of_one_form(tiny_bundle: Path) -> None:
    texts = ["where is it", ""] * 5000 + [""] * 9000
    chunks = list(pipeline.predict(tiny_bundle, {"text": texts, "row": list(range(19000))}, top=1))
    assert len(chunks) > 2
    assert len({tuple(chunk.schema.items()) for chunk in chunks}) == 1
    whole = pl.concat(chunks)
    assert whole["row"].to_list() == list(range(19000))
    assert whole["prediction"].is_null().sum() == 14000
    assert set(whole.columns) == {"text", "row", "prediction", "score", "candidates"}


def test_no_rows_give_no_answers(tiny_bundle: Path) -> None:
    (found,) = pipeline.predict(tiny_bundle, {"text": []})
    assert found.columns == ["text", "prediction", "score"]
    assert len(found) == 0
    predictor = tunewright.load(tiny_bundle)
    assert predictor.predict([]) == []
    assert predictor.predict_proba([]).shape == (0, 8)
    assert len(predictor.embed([])) == 0


def test_a_taken_name_is_told_and_a_prefix_helps(tiny_bundle: Path) -> None:
    rows = {"text": ["a"], "score": [1]}
    with pytest.raises(TunewrightError, match="a column 'score' already → pass --prefix"):
        next(pipeline.predict(tiny_bundle, rows))
    assert next(pipeline.predict(tiny_bundle, rows, prefix="m_")).columns == [
        "text",
        "score",
        "m_prediction",
        "m_score",
    ]


def test_show_compares_every_file(tiny_bundle: Path, tmp_path: Path) -> None:
    bundle = Path(shutil.copytree(tiny_bundle, tmp_path / "copy"))
    assert pipeline.show(bundle) == pipeline.show(tiny_bundle)
    (bundle / "report.html").write_text("changed", encoding="utf-8")
    with pytest.raises(DamagedBundle, match=r"report\.html: the file is damaged"):
        pipeline.show(bundle)
    assert tunewright.load(bundle).predict(["a"])  # what only tells about the run is not needed to predict
    (bundle / "report.html").unlink()
    with pytest.raises(DamagedBundle, match=r"report\.html: the file is missing"):
        pipeline.show(bundle)


def test_show_tells_the_sizes_of_both_parts_of_an_encoder_and_of_its_updates(
    halved_bundles: dict[str, Path], tiny_bundle: Path, cli: Callable[..., Any]
) -> None:
    folder = halved_bundles["lora-0"]
    manifest, parts = read_manifest(folder), pipeline.show(folder)["parts"]
    updates = manifest.files[manifest.parts["upper.text"].updates]["size_bytes"]
    assert parts["upper.text"]["updates_bytes"] == updates > 10_000
    assert parts["upper.text"]["size_bytes"] > updates
    assert parts["encoder.text"]["updates_bytes"] == 0
    said = " ".join(cli("show", folder).out.split())
    assert re.search(r"encoder in two parts: encoder\.text \S+ MB, upper\.text \S+ MB and 0\.0\d MB of updates", said)
    assert "in two parts" not in cli("show", tiny_bundle).out


def test_export_knows_its_ways(tiny_bundle: Path, tmp_path: Path) -> None:
    with pytest.raises(TunewrightError, match="--to 'onx' is not known → did you mean 'onnx'"):
        pipeline.export(tiny_bundle, "onx", tmp_path / "out")
    assert pipeline.export(tiny_bundle, "onnx", tmp_path / "out") == tmp_path / "out"
    assert (tmp_path / "out" / "about.json").is_file()
    with pytest.raises(TunewrightError, match="out: it exists already → choose another --out"):
        pipeline.export(tiny_bundle, "hf", tmp_path / "out")
