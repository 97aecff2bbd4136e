"""From texts without labels to a backbone folder: files, refusals, kills, and both programs that load the result."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import torch
from safetensors.torch import load_file

import tunewright
from tunewright import samples
from tunewright.backbones._load import load
from tunewright.core.errors import Interrupted, TunewrightError
from tunewright.core.sections import Fit
from tunewright.train import checkpoint

Settings = dict[str, Any]
QUICK: Settings = {
    "fit.threads": 1,
    "fit.precision": "fp32",
    "fit.epochs": 2,
    "fit.batch_rows": 32,
    "fit.learning_rate": 1e-3,
}


@pytest.fixture(scope="module")
def lines(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A text file with one sample text a line, some twice, with quotes and tabs."""
    texts = pl.read_csv(samples.path("support_train.csv"))["text"].to_list()
    texts[3:3] = ["", "   ", 'he said "no"\tand left', '"quoted"', texts[0], texts[1]]
    path = tmp_path_factory.mktemp("corpus") / "corpus.txt"
    path.write_text("\n".join(texts) + "\n", encoding="utf-8")
    return path


@pytest.fixture
def run(lines: Path, tiny_backbone: Path, tmp_path: Path) -> Callable[..., tuple[Path, list[dict[str, Any]]]]:
    """``run("name", objective=…)`` → the folder and every record that was told."""

    def made(name: str = "bank", settings: Settings | None = None, **named: Any) -> tuple[Path, list[dict[str, Any]]]:
        told: list[dict[str, Any]] = []
        named = {"corpus": lines, "backbone": str(tiny_backbone), "listener": told.append} | named
        corpus = named.pop("corpus")
        return tunewright.pretrain(corpus, out=tmp_path / name, settings=QUICK | (settings or {}), **named), told

    return made


def said(told: list[dict[str, Any]]) -> str:
    return " / ".join(record["say"] for record in told if "say" in record)


def about(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "tunewright.json").read_text(encoding="utf-8"))
    return found


# ── the folder ───────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.usefixtures("traced_once")
def test_the_command_makes_a_backbone_that_fit_and_transformers_load(
    cli: Callable[..., Any], lines: Path, tiny_backbone: Path, tmp_path: Path
) -> None:
    from transformers import AutoModel, AutoTokenizer

    source = tmp_path / "source"
    shutil.copytree(tiny_backbone, source)
    (source / "tunewright.json").write_text('{"licence": "MIT"}', encoding="utf-8")
    (source / "LICENSE").write_text("as is", encoding="utf-8")
    out = tmp_path / "bank"
    flags = [word for name, value in QUICK.items() for word in ("--set", f"{name}={value}")]
    done = cli("pretrain", lines, "--backbone", source, "--objective", "masked", "--out", out, *flags)
    assert done.code == 0, done.err
    assert "held-out masked_log_likelihood" in done.err
    assert "masked: mean training loss" in done.err
    assert "validation masked_log_likelihood" in done.err
    assert "left out: 2 repeated" in done.err

    told = about(out)
    before, after = told["training"]["before"], told["training"]["after"]
    assert after > before
    assert told["training"]["scores"][0] == before
    assert told["training"]["steps"] == 2 * -(-told["corpus"]["train"] // 32)
    assert told["corpus"]["rows"] == len(lines.read_text(encoding="utf-8").splitlines()) - 2
    assert told["corpus"]["train"] + told["corpus"]["held_out"] == told["corpus"]["rows"] - 2
    assert told["backbone"]["digest"] == load(str(source), Fit())[1].digest
    assert told["licence"] == "MIT"
    assert (out / "LICENSE").read_text(encoding="utf-8") == "as is"
    assert not list(tmp_path.glob("bank.run/work*"))

    loaded, found = load(str(out), Fit())
    assert (found.licence, found.digest == told["backbone"]["digest"]) == ("MIT", False)
    texts = ["where is my parcel?", "thanks"]
    tokenizer = AutoTokenizer.from_pretrained(out)
    model, report = AutoModel.from_pretrained(out, output_loading_info=True)
    assert not report["unexpected_keys"]
    assert all("pooler" in name for name in report["missing_keys"])
    arrays = tokenizer(texts, padding=True, return_tensors="pt")
    windows = loaded.modality.windows([texts])
    own = {name: torch.from_numpy(one) for name, one in loaded.modality.batch(windows, [0, 1]).items()}  # type: ignore[arg-type]
    assert torch.equal(arrays["input_ids"], own["input_ids"])
    assert tokenizer.mask_token_id == 4
    with torch.no_grad():
        states, mask = loaded.encoder.eval()(**own)
        theirs = model.eval()(**arrays).last_hidden_state
    torch.testing.assert_close(states * mask.unsqueeze(-1), theirs * mask.unsqueeze(-1), atol=1e-5, rtol=1e-5)

    settings = {"fit.backbone": str(out), "fit.method": "probe", "fit.threads": 1, "split.test": 0.0}
    train = samples.path("support_train.csv")
    predictor = tunewright.fit(train, text="text", label="intent", out=tmp_path / "intents", settings=settings)
    assert predictor.manifest.backbone["digest"] == found.digest
    assert predictor.manifest.backbone["licence"] == "MIT"


def test_a_line_is_one_text_whatever_stands_in_it(run: Any, lines: Path, tmp_path: Path) -> None:
    packed = tmp_path / "corpus.txt.gz"
    packed.write_bytes(gzip.compress(lines.read_bytes()))
    folder, told = run(corpus=packed, settings={"fit.epochs": 1})
    (one,) = (record for record in told if record["event"] == "corpus")
    assert one["rows"] == len([line for line in lines.read_text(encoding="utf-8").splitlines() if line.strip()])
    assert about(folder)["training"]["objective"] == "simcse"
    assert "objective" in next(record for record in told if record["event"] == "settings")["settings"]


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet", "frame", "list"])
def test_a_column_of_texts(kind: str, run: Any, tmp_path: Path) -> None:
    frame = pl.read_csv(samples.path("support_train.csv")).head(60)
    path = tmp_path / f"rows.{kind}"
    writers: dict[str, Callable[[Path], Any]] = {
        "csv": frame.write_csv,
        "jsonl": frame.write_ndjson,
        "parquet": frame.write_parquet,
    }
    if kind in writers:
        writers[kind](path)
    corpus = {"frame": frame, "list": frame["text"].to_list()}.get(kind, path)
    folder, told = run(
        corpus=corpus, text=None if kind == "list" else "text", objective="masked", settings={"fit.epochs": 1}
    )
    assert about(folder)["corpus"]["rows"] == 60
    assert "masked_log_likelihood" in said(told)


def test_pairs_of_two_columns(run: Any) -> None:
    frame = pl.read_csv(samples.path("support_train.csv")).with_columns(
        pl.when(pl.int_range(pl.len()) % 40 == 7)
        .then(None)
        .otherwise(pl.col("intent").str.replace_all("_", " "))
        .alias("title")
    )
    folder, told = run(corpus=frame, text="text", pair="title", settings={"fit.epochs": 4})
    training = about(folder)["training"]
    assert training["objective"] == "pairs"
    assert training["after"] > training["before"]
    assert "6 blank" in said(told)


def test_where_nothing_is_gained_the_backbone_comes_back_as_it_was(run: Any, tiny_backbone: Path) -> None:
    folder, told = run(settings={"fit.learning_rate": 1e-20, "fit.epochs": 1})
    assert "nothing was gained, the weights are as they were" in said(told)
    source, result = load_file(tiny_backbone / "model.safetensors"), load_file(folder / "model.safetensors")
    assert result
    assert all(torch.equal(value, source[name]) for name, value in result.items())


# ── kills and stops ──────────────────────────────────────────────────────────────────────────────────────────────────


class Killed(BaseException):
    """Stands for a kill: nothing catches it."""


def at_step(wanted: int, act: Callable[[], None]) -> Callable[[dict[str, Any]], None]:
    """A listener that acts once, after so many steps."""
    steps = 0

    def listen(record: dict[str, Any]) -> None:
        nonlocal steps
        steps += record["event"] == "progress" and record["stage"] == "train"
        if steps == wanted:
            steps += 1
            act()

    return listen


@pytest.mark.parametrize("objective", ["masked", "simcse"])
def test_a_killed_run_ends_in_the_same_bits(objective: str, run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, _ = run("whole", objective=objective)
    monkeypatch.setattr(checkpoint, "SECONDS", 0.0)
    monkeypatch.setattr(checkpoint, "SHARE", 1e9)

    def kill() -> None:
        raise Killed

    for step in (3, 6):
        with pytest.raises(Killed):
            run("again", objective=objective, listener=at_step(step, kill))
    again, told = run("again", objective=objective)
    assert "goes on after step" in said(told)
    files = [(folder / "model.safetensors").read_bytes() for folder in (whole, again)]
    assert files[0] == files[1]
    assert about(whole)["training"] == about(again)["training"]
    assert not list(again.parent.glob("again.run/work*"))


def test_another_corpus_starts_anew(run: Any, lines: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoint, "SECONDS", 0.0)
    monkeypatch.setattr(checkpoint, "SHARE", 1e9)

    def kill() -> None:
        raise Killed

    with pytest.raises(Killed):
        run(listener=at_step(3, kill))
    other = tmp_path / "other.txt"
    other.write_text(lines.read_text(encoding="utf-8") + "one text more\n", encoding="utf-8")
    _, told = run(corpus=other)
    assert "this one starts anew" in said(told)
    assert "goes on after step" not in said(told)


KILLED = """
import os, signal, sys
from tunewright.train import checkpoint
import tunewright
checkpoint.SECONDS, checkpoint.SHARE = 0.0, 1e9
steps = 0
def listen(record):
    global steps
    steps += record["event"] == "progress" and record["stage"] == "train"
    if steps == 4:
        os.kill(os.getpid(), signal.SIGKILL)
tunewright.pretrain(sys.argv[1], out=sys.argv[3], backbone=sys.argv[2], settings=eval(sys.argv[4]), listener=listen)
"""


@pytest.mark.slow
def test_kill_9_leaves_nothing_at_out_and_the_next_run_goes_on(
    run: Any, lines: Path, tiny_backbone: Path, tmp_path: Path
) -> None:
    out = tmp_path / "bank"
    words = [sys.executable, "-c", KILLED, str(lines), str(tiny_backbone), str(out), repr(QUICK)]
    assert subprocess.run(words, timeout=200, env=os.environ | {"OMP_NUM_THREADS": "1"}).returncode == -signal.SIGKILL
    assert not out.exists()
    again, told = run()
    assert "goes on after step" in said(told)
    whole, _ = run("whole")
    assert (again / "model.safetensors").read_bytes() == (whole / "model.safetensors").read_bytes()


def test_the_first_ctrl_c_ships_the_best_so_far(run: Any) -> None:
    folder, told = run(settings={"fit.epochs": 40}, listener=at_step(9, lambda: os.kill(os.getpid(), signal.SIGINT)))
    assert about(folder)["training"]["stopped"] == "interrupted"
    assert about(folder)["training"]["steps"] in (9, 10)
    assert about(folder)["run"]["interrupted"] is True
    assert told == []


def test_the_second_ctrl_c_leaves_everything_as_it_was(run: Any, tmp_path: Path) -> None:
    def twice() -> None:
        for _ in range(2):
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(Interrupted, match="stopped before anything was shipped"):
        run(listener=at_step(2, twice))
    assert not (tmp_path / "bank").exists()


# ── bad input ────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", r"corpus\.txt: the file is empty → name a file with one text a line"),
        ("\n \n", r"corpus\.txt: the file has no rows → name a file with one text a line"),
        (
            "one line\n",
            r"corpus\.txt: it holds 1 different text, too few to learn from and judge on → give at least 10",
        ),
        ("twice\n" * 500, r"corpus\.txt: it holds 1 different text, too few"),
        ("a\nb\nc\n", r"corpus\.txt: it holds 3 different texts, too few"),
    ],
)
def test_a_corpus_with_too_little_in_it(content: str, message: str, run: Any, tmp_path: Path) -> None:
    path = tmp_path / "corpus.txt"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(TunewrightError, match=message):
        run(corpus=path)
    assert not (tmp_path / "bank").exists()


@pytest.mark.parametrize(
    ("named", "message"),
    [
        ({"corpus": "corpsu.txt"}, r"corpsu\.txt: there is no such file → did you mean 'corpus\.txt'\?"),
        (
            {"corpus": "rows.csv"},
            r"rows\.csv: which column holds the texts is not said; its columns are: text, intent → pass --text",
        ),
        ({"corpus": "rows.csv", "text": "txet"}, r"there is no column 'txet'.*→ did you mean 'text'\?"),
        ({"corpus": "rows.csv", "text": "text", "pair": "title"}, r"there is no column 'title'"),
        ({"corpus": "rows.csv", "text": "text", "pair": "text"}, r"--text and --pair both name 'text'"),
        ({"objective": "maskd"}, r"there is no objective 'maskd' to pretrain by → did you mean 'masked'\?"),
        ({"objective": "pairs"}, r"objective 'pairs' needs a second column of texts → pass --pair COLUMN"),
        ({"objective": "simcse", "text": "text", "pair": "intent"}, r"objective 'simcse' takes one text, not pairs"),
        ({"backbone": "minilm"}, r"backbone 'minilm': no such folder, and no backbone of this name → did you mean"),
        ({"settings": {"fit.method": "full"}}, r"--set fit\.method: pretraining has no such setting"),
        ({"settings": {"gates.accuracy": ">= 1"}}, r"--set gates\.accuracy: pretraining has no such setting"),
        ({"settings": {"fit.epohcs": 2}}, r"unknown key 'fit\.epohcs' → did you mean 'epochs'\?"),
        ({"settings": {"fit.minutes": 0}}, r"fit\.minutes = 0: input should be greater than 0"),
        ({"settings": {"fit.device": "tpu"}}, r"fit\.device = 'tpu' is not known → use auto, cpu or cuda"),
        ({"settings": {"fit.max_tokens": 4000}}, r"fit\.max_tokens = 4000: the backbone has 64 positions"),
    ],
)
def test_what_is_asked_wrongly(
    named: dict[str, Any], message: str, run: Any, lines: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copy(lines, "corpus.txt")
    shutil.copy(samples.path("support_train.csv"), "rows.csv")
    with pytest.raises(TunewrightError, match=message):
        run(**named)
    assert not (tmp_path / "bank").exists()


def test_only_what_pretrain_wrote_is_replaced(run: Any, tmp_path: Path) -> None:
    once = {"fit.epochs": 1}
    run(settings=once)
    with pytest.raises(TunewrightError, match="bank: it exists already → pass --force"):
        run(settings=once)
    before = (tmp_path / "bank" / "tunewright.json").read_bytes()
    folder, _ = run(settings=once | {"seed": 3}, force=True)
    assert (folder / "tunewright.json").read_bytes() != before
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "bundle.json").write_text("{}")
    with pytest.raises(TunewrightError, match="it is not a backbone that `pretrain` wrote, so it is not replaced"):
        run("thesis", settings=once, force=True)
    assert (tmp_path / "thesis" / "bundle.json").read_text() == "{}"


def test_a_bundle_does_not_take_the_place_of_a_backbone(run: Any, tiny_backbone: Path) -> None:
    folder, _ = run(settings={"fit.epochs": 1})
    with pytest.raises(TunewrightError, match="it is not a bundle, so it is not replaced"):
        tunewright.fit(samples.path("support_train.csv"), text="text", label="intent", out=folder, force=True)


def test_more_threads_than_there_are_do_not_harm(run: Any) -> None:
    folder, _ = run(corpus=[f"text number {at}" for at in range(20)], settings={"fit.epochs": 1, "fit.threads": 999})
    assert about(folder)["training"]["stopped"] == "epochs"


def test_a_loss_that_is_not_finite_says_what_to_lower(run: Any) -> None:
    folder, told = run(objective="masked", settings={"fit.learning_rate": 1e30, "fit.epochs": 9})
    assert "lower fit.learning_rate (now 1e+30)" in said(told)
    values = load_file(folder / "model.safetensors")
    assert all(torch.isfinite(one).all() for one in values.values())
