"""A bundle made smaller, through the whole line: kept, refused, with and without labels, from the command line."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tunewright import pipeline, samples
from tunewright.compress import fp16, int8
from tunewright.core.bundle import read_manifest
from tunewright.core.errors import TunewrightError
from tunewright.pipeline import attempts, chains

TRAIN, TEST = samples.path("support_train.csv"), samples.path("support_test.csv")


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Times are measured, but on few requests."""
    monkeypatch.setattr(attempts, "REQUESTS", 4)
    monkeypatch.setattr(attempts, "BULK", 8)


def wide(**limits: float) -> dict[str, Any]:
    """Limits that a random backbone of 8 bits keeps."""
    return {f"compress.{name}": value for name, value in {"accuracy_lost": 0.2, "flips": 0.5, **limits}.items()}


def test_a_kept_setting_leaves_a_bundle_with_its_table_and_its_own_metrics(tiny_bundle: Path, tmp_path: Path) -> None:
    out = tmp_path / "small"
    done = pipeline.compress(tiny_bundle, TEST, to="vocabulary, int8", out=out, settings=wide())
    assert done.folder == out
    manifest = read_manifest(out)
    whole = read_manifest(tiny_bundle)
    assert [one["step"] for one in manifest.method["compressed"]] == ["vocabulary", "int8"]
    assert {one["from"] for one in manifest.method["compressed"]} == {whole.digest}
    assert done.digest == manifest.digest
    assert manifest.size_bytes < whole.size_bytes
    first, *_, last = done.tried
    assert first["setting"] == "as it was"
    assert (first["flips"], first["lost"], first["recall_lost"]) == (0.0, 0.0, 0.0)
    assert last["outcome"] == "kept"
    assert last["lost_low"] <= last["lost"] <= last["lost_high"]
    judged = {one.name: one.value for one in pipeline.evaluate(out, _judging(TEST)) if not one.slice}
    assert last["value"] == pytest.approx(judged["accuracy"])
    assert manifest.metrics["accuracy"]["value"] == pytest.approx(judged["accuracy"])
    assert last["lost"] == pytest.approx(first["value"] - last["value"])
    report = json.loads((out / "report.json").read_text(encoding="utf-8"))
    tables = [one for one in report["exhibits"] if one["title"] == "What was tried"]
    assert len(tables[0]["rows"]) == len(done.tried)
    assert "What was tried" in (out / "report.html").read_text(encoding="utf-8")
    assert pipeline.show(out)["method_facts"]["compressed"][0]["step"] == "vocabulary"
    assert not list(tmp_path.glob(".*"))


def _judging(path: Path) -> pl.DataFrame:
    """The half of the rows that judges, as the seed of the tiny bundle draws it."""
    import numpy as np

    rows = pl.read_csv(path)
    order = np.random.default_rng(0).permutation(len(rows))
    return rows[np.sort(order[len(rows) // 2 :]).tolist()]


def test_the_first_setting_that_passes_is_kept_and_the_next_safer_is_tried_before(
    tiny_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first setting is spoilt: its weights are those of fp16, turned round."""
    import numpy as np
    from onnx import numpy_helper

    whole = int8.run

    def spoilt(copy: Any, setting: str) -> None:
        whole(copy, setting)
        if setting == "per tensor":
            model = copy.graph("encoder.text")
            for one in model.graph.initializer:
                if one.name.endswith("_row_scale"):
                    one.CopyFrom(numpy_helper.from_array(-numpy_helper.to_array(one)[::-1].copy(), one.name))
            copy.put("encoder.text", model)

    monkeypatch.setattr(int8, "run", spoilt)
    done = pipeline.compress(tiny_bundle, TEST, out=tmp_path / "out", settings=wide(flips=0.3))
    assert [one["setting"] for one in done.tried] == ["as it was", "per tensor", "per channel"]
    assert "flips" in done.tried[1]["outcome"]
    assert done.tried[1]["flips"] > 0.3
    assert read_manifest(tmp_path / "out").method["compressed"][0]["setting"] == "per channel"
    assert np.isfinite(done.tried[2]["value"])


def test_one_setting_alone_can_be_named(tiny_bundle: Path, tmp_path: Path) -> None:
    done = pipeline.compress(tiny_bundle, TEST, to="int8=per channel", out=tmp_path / "out", settings=wide())
    assert [one["setting"] for one in done.tried] == ["as it was", "per channel"]


def test_where_no_setting_passes_nothing_is_left_at_out_and_the_table_is_told(
    tiny_bundle: Path, tmp_path: Path
) -> None:
    limits = wide(score_shift=0.0)
    with pytest.raises(pipeline.NotCompressed, match=r"no setting of int8 passes: per tensor: score shift") as refused:
        pipeline.compress(tiny_bundle, TEST, out=tmp_path / "out", settings=limits)
    assert refused.value.exit_code == 3
    assert len(refused.value.exhibit.rows) == 1 + len(int8.SETTINGS)
    assert {one.name for one in tmp_path.iterdir() if one.is_dir()} == {"out.refused"}
    last = read_manifest(tmp_path / "out.refused")
    assert last.method["compressed"][0]["setting"] == int8.SETTINGS[-1]
    assert "What was tried" in (tmp_path / "out.refused" / "report.html").read_text(encoding="utf-8")


def test_a_target_that_is_not_reached_is_refused(tiny_bundle: Path, tmp_path: Path, cli: Callable[..., Any]) -> None:
    ran = cli("compress", tiny_bundle, TEST, "--to", "fp16", "--out", tmp_path / "out", "--target", "size_mb<=0.001")
    assert ran.code == 3
    assert "weights in fp16" in ran.out
    assert "as it was" in ran.out
    assert "target size_mb <= 0.001 is not reached" in ran.err
    assert "add a step" in ran.err
    assert not (tmp_path / "out").exists()


def test_without_steps_a_target_is_reached_by_those_that_change_least(tiny_bundle: Path, tmp_path: Path) -> None:
    size = read_manifest(tiny_bundle).size_bytes / 1e6
    done = pipeline.compress(tiny_bundle, TEST, out=tmp_path / "out", targets=[f"size_mb<={0.9 * size}"])
    assert [one["step"] for one in done.tried] == ["–", "fp16"]
    with pytest.raises(pipeline.NotCompressed, match=r"nothing reaches size_mb <= 0.001 .* tried: fp16; int8") as none:
        pipeline.compress(tiny_bundle, TEST, out=tmp_path / "no", targets=["size_mb<=0.001"], settings=wide())
    assert none.value.exit_code == 3
    steps = [row[0] for row in none.value.exhibit.rows]
    assert steps == ["–", "fp16", *["int8"] * len(int8.SETTINGS)]
    assert not (tmp_path / "no").exists()


def test_what_two_chains_begin_with_is_made_once_and_what_does_not_fit_is_left_out(
    tiny_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tunewright.compress import vocabulary

    ran, said, whole = list[str](), list[str](), vocabulary.run
    monkeypatch.setattr(vocabulary, "run", lambda copy, setting: (ran.append(setting), whole(copy, setting)))
    monkeypatch.setattr(chains, "LEARNT", ())
    rows = samples.path("support_train.csv")
    named = {"train": rows, "settings": wide(flips=0.9, accuracy_lost=1.0)}
    listener: Any = lambda one: said.append(one.get("say", ""))  # noqa: E731
    with pytest.raises(pipeline.NotCompressed) as none:
        pipeline.compress(
            tiny_bundle, TEST, out=tmp_path / "out", targets=["size_mb<=0.001"], listener=listener, **named
        )
    assert len(ran) == 1
    assert {row[0] for row in none.value.exhibit.rows} >= {"fp16", "vocabulary", "vocabulary,fp16", "vocabulary,int8"}

    def unfit(copy: Any, setting: str) -> None:
        raise TunewrightError("it has no words", "leave it out")

    monkeypatch.setattr(vocabulary, "run", unfit)
    with pytest.raises(pipeline.NotCompressed):
        pipeline.compress(
            tiny_bundle, TEST, out=tmp_path / "out", targets=["size_mb<=0.001"], listener=listener, **named
        )
    assert "vocabulary is left out: it has no words" in said


def test_a_student_is_judged_like_any_other_step_and_goes_through_int8(
    tiny_bundle: Path, tmp_path: Path, cli: Callable[..., Any]
) -> None:
    out = tmp_path / "static"
    limits = ["--set", "compress.accuracy_lost=1", "--set", "compress.flips=1", "--set", "compress.epochs=2"]
    rows = ["--train", samples.path("support_train.csv"), "--unlabelled", TEST]
    steps = ["--to", "vocabulary,distill,int8", "--student", "static"]
    ran = cli("compress", tiny_bundle, TEST, *rows, *steps, *limits, "--out", out)
    assert ran.code == 2  # every row without a label is one that judges
    assert "--unlabelled: every row of it is one that judges" in ran.err
    ran = cli("compress", tiny_bundle, TEST, *rows[:2], *steps, *limits, "--out", out)
    assert ran.code == 0, ran.err
    assert "vocabulary,distill,int8" in ran.out
    done = [one["step"] for one in read_manifest(out).method["compressed"]]
    assert done == ["vocabulary", "distill", "int8"]
    assert read_manifest(out).metrics["accuracy"]["n"] == len(pl.read_csv(TEST))


def test_learning_without_rows_is_refused_before_anything_is_tried(
    tiny_bundle: Path, tmp_path: Path, cli: Callable[..., Any]
) -> None:
    ran = cli("compress", tiny_bundle, TEST, "--to", "int8,distill", "--out", tmp_path / "out")
    assert ran.code == 2
    assert "distill learns, and there are no rows that it may learn from" in ran.err
    assert "as it was" not in ran.out
    ran = cli("compress", tiny_bundle, TEST, "--to", "int8", "--student", "static", "--out", tmp_path / "out")
    assert (ran.code, "--student static is for distill, which --to does not name" in ran.err) == (2, True)


def test_rows_without_labels_judge_flips_alone_and_that_is_said(
    tiny_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows, said = pl.read_csv(TEST).select("text"), []
    out = tmp_path / "out"
    done = pipeline.compress(
        tiny_bundle, rows, to="fp16", out=out, settings=wide(), listener=lambda one: said.append(one.get("say", ""))
    )
    assert any("no labels: only flips and the shift of scores are judged" in one for one in said)
    assert done.tried[1]["value"] is None
    assert done.tried[1]["flips"] is not None
    assert read_manifest(out).metrics == {}


def test_flipped_rows_lie_beside_the_bundle_and_not_in_it(tiny_bundle: Path, tmp_path: Path) -> None:
    rows = pl.read_csv(TEST).select("text")
    out = tmp_path / "out"
    done = pipeline.compress(tiny_bundle, rows, out=out, settings=wide(flips=1.0))
    count = round(done.tried[-1]["flips"] * len(rows))
    beside = tmp_path / "out.rows.jsonl"
    lines = beside.read_text(encoding="utf-8").splitlines() if beside.exists() else []
    flipped = [json.loads(line) for line in lines if json.loads(line)["audit"] == "compress"]
    assert len(flipped) == count
    for one in flipped:
        assert one["before"] != one["after"]
        assert one["text"] not in (out / "report.json").read_text(encoding="utf-8")


def test_the_gates_of_the_task_hold_for_the_compressed_bundle_too(tiny_bundle: Path, tmp_path: Path) -> None:
    gates = {"gates.accuracy": "> 1.0"}
    with pytest.raises(pipeline.NotCompressed, match="gate accuracy > 1.0 is missed"):
        pipeline.compress(tiny_bundle, TEST, to="fp16", out=tmp_path / "out", settings=wide() | gates)


@pytest.mark.parametrize(
    ("named", "message"),
    [
        ({"to": "int9"}, "there is no step of compression 'int9' → did you mean 'int8'"),
        ({"to": "int8,int8"}, "--to names int8 twice"),
        ({"to": ""}, "--to names no step"),
        ({"to": "int8=per chanel"}, "int8 has no setting 'per chanel' → did you mean 'per channel'"),
        ({"targets": ["speed>3"]}, r"--target 'speed>3' is no target"),
        ({"settings": {"compress.flip": 1}}, "compress.flip"),
    ],
)
def test_what_is_not_known_is_refused(named: dict[str, Any], message: str, tiny_bundle: Path, tmp_path: Path) -> None:
    with pytest.raises(TunewrightError, match=message):
        pipeline.compress(tiny_bundle, TEST, out=tmp_path / "out", **named)


def test_twice_is_refused_and_an_existing_place_too(tiny_bundle: Path, tmp_path: Path, cli: Callable[..., Any]) -> None:
    once = tmp_path / "once"
    assert cli("compress", tiny_bundle, TEST, "--to", "fp16", "--out", once, "--quiet").code == 0
    assert "compress fp16 (weights in fp16), from sha256:" in cli("show", once).out
    ran = cli("compress", once, TEST, "--to", "int8", "--out", tmp_path / "twice")
    assert ran.code == 2
    assert "compressed already (fp16, from sha256:" in ran.err
    ran = cli("compress", tiny_bundle, TEST, "--to", "fp16", "--out", once)
    assert (ran.code, "it exists already" in ran.err) == (2, True)
    ran = cli("compress", tiny_bundle, TEST, "--test", TEST, "--out", tmp_path / "none")
    assert (ran.code, "judged on one file of rows" in ran.err) == (2, True)


def test_without_rows_those_of_the_fit_judge_and_are_learnt_from(tiny_bundle: Path, tmp_path: Path) -> None:
    done = pipeline.compress(tiny_bundle, to="vocabulary", out=tmp_path / "out", settings={"compress.flips": 1})
    assert f"judged on {TEST}, the test rows of the fit" in done.notes
    texts = len(pl.read_csv(TRAIN)) - len(set(pl.read_csv(TRAIN)["text"]) & set(pl.read_csv(TEST)["text"]))
    told = read_manifest(done.folder).method["compressed"][0]["notes"]
    assert any(f"of {-(-texts // 5):,} texts left out" in note for note in told), "all training rows were read"


def test_a_bundle_without_its_run_needs_rows_that_judge(
    tiny_bundle: Path, tmp_path: Path, cli: Callable[..., Any]
) -> None:
    alone = tmp_path / "alone"
    shutil.copytree(tiny_bundle, alone)
    ran = cli("compress", alone, "--to", "fp16", "--out", tmp_path / "out")
    assert ran.code == 2
    said = " ".join(ran.err.split())
    assert "which rows are to judge is not said, and" in said
    assert "alone.run/train.jsonl names no test rows → name them: tunewright compress BUNDLE ROWS" in said
    (tmp_path / "alone.run").mkdir()
    note = {"event": "settings", "seconds": 0.0, "settings": {"data.test": [str(tmp_path / "gone.csv"), "flag"]}}
    (tmp_path / "alone.run" / "train.jsonl").write_text(json.dumps(note) + "\n", "utf-8")
    ran = cli("compress", alone, "--to", "fp16", "--out", tmp_path / "out")
    assert "gone.csv, on which" in ran.err
    assert not (tmp_path / "out").exists()


def test_gradients_of_a_compressed_bundle_are_refused(tiny_bundle: Path, tmp_path: Path) -> None:
    from tunewright.train.rebuild import rebuild

    out = tmp_path / "small"
    pipeline.compress(tiny_bundle, TEST, to="fp16", out=out, settings=wide())
    assert fp16.SETTINGS[0] in read_manifest(out).method["compressed"][0]["setting"]
    with pytest.raises(TunewrightError, match=r"the bundle is compressed \(fp16\), so it has no gradients"):
        rebuild(out)
