"""A loaded bundle against the same computation in numpy: answers, order, windows, threads, damage, a light start."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file
from tokenizers import Tokenizer

import tunewright
from tunewright.core.bundle import MANIFEST, read_manifest
from tunewright.core.errors import DamagedBundle, TunewrightError
from tunewright.core.types import Array
from tunewright.kinds._answers import Label
from tunewright.runtime.predictor import Predictor, load


class ByHand:
    """What the bundle should say, from its tokenizer and its tensors alone: no onnxruntime, no code of the house."""

    def __init__(self, folder: Path) -> None:
        record = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        self.spec = record["targets"][0]["spec"]
        self.tokenizer = Tokenizer.from_file(str(folder / "modality/text/tokenizer.json"))
        self.room = record["modalities"]["text"]["max_tokens"] - 2
        tensors = {
            name: value
            for part in record["parts"].values()
            for path in part["data"]
            for name, value in load_file(folder / path).items()
        }
        self.words, self.weight, self.bias = (tensors[name] for name in ("words", "weight", "bias"))
        self.first, self.last = (self.tokenizer.token_to_id(name) for name in ("[CLS]", "[SEP]"))

    def windows(self, text: str) -> list[list[Any]]:
        ids = self.tokenizer.encode(text, add_special_tokens=False).ids
        starts = range(0, max(len(ids), 1), self.room)
        return [[self.first, *ids[start : start + self.room], self.last] for start in starts]

    def weighted(self, text: str, of: Any) -> Array:
        """Mean of ``of(mean vector)`` over the windows of a text, by their numbers of tokens."""
        windows = self.windows(text)
        values = [of(self.words[ids].mean(0)) for ids in windows]
        return np.average(values, axis=0, weights=[len(ids) for ids in windows])

    def proba(self, text: str) -> Array:
        logits = self.weighted(text, lambda vector: vector @ self.weight + self.bias) / self.spec["temperature"]
        raised = np.exp(logits - logits.max())
        out: Array = raised / raised.sum()
        return out

    def embedding(self, text: str) -> Array:
        vector = self.weighted(text, lambda one: one / max(np.linalg.norm(one), 1e-12))
        unit: Array = vector / max(np.linalg.norm(vector), 1e-12)
        return unit


@pytest.fixture(scope="session")
def by_hand(bundle: Path) -> ByHand:
    return ByHand(bundle)


def test_it_has_learnt_something(predictor: Predictor, sample_rows: dict[str, list[dict[str, str]]]) -> None:
    rows = sample_rows["support_test.csv"]
    answers = predictor.predict([row["text"] for row in rows])
    right = sum(answer.label == row["intent"] for answer, row in zip(answers, rows, strict=True))
    assert right > 0.5 * len(rows)  # 8 intents of equal size


def test_answers_are_what_numpy_computes(predictor: Predictor, by_hand: ByHand, texts: list[str]) -> None:
    expected = np.array([by_hand.proba(text) for text in texts])
    assert predictor.predict_proba(texts) == pytest.approx(expected, abs=1e-6)
    assert any(len(by_hand.windows(text)) > 1 for text in texts)
    for text, proba, answer in zip(texts, expected, predictor.predict(texts), strict=True):
        if not text:
            assert answer == Label(None, None, "empty")
            continue
        assert answer.label == by_hand.spec["labels"][proba.argmax()]
        assert answer.score == pytest.approx(proba.max(), abs=1e-6)


def test_embeddings_are_what_numpy_computes(predictor: Predictor, by_hand: ByHand, texts: list[str]) -> None:
    found = predictor.embed(texts)
    assert found.dtype == np.float32
    assert found == pytest.approx(np.array([by_hand.embedding(text) for text in texts]), abs=1e-5)
    known = np.array([bool(by_hand.embedding(text).any()) for text in texts])
    assert np.linalg.norm(found, axis=1)[known] == pytest.approx(1, abs=1e-5)
    assert known.sum() >= len(texts) - 2


@settings(max_examples=25)
@given(order=st.permutations(range(83)))
def test_answers_come_in_the_order_of_the_rows(predictor: Predictor, texts: list[str], order: list[int]) -> None:
    whole = predictor.predict_proba(texts)
    mixed = predictor.predict_proba([texts[at] for at in order])
    assert mixed == pytest.approx(whole[order], abs=1e-6)


def test_a_row_is_answered_alike_in_any_company(predictor: Predictor, texts: list[str]) -> None:
    together = predictor.predict_proba(texts)
    for at, text in enumerate(texts):
        assert predictor.predict_proba([text])[0] == pytest.approx(together[at], abs=1e-6)


def test_a_text_said_twelve_times_is_answered_like_once(predictor: Predictor, by_hand: ByHand) -> None:
    once = "where is my order now?"
    assert [len(ids) for ids in by_hand.windows(once)] == [8]
    first, often = predictor.logits([once, " ".join([once] * 12)])["label"]
    assert often == pytest.approx(first, abs=1e-5)


def test_the_end_of_a_long_text_counts(predictor: Predictor, by_hand: ByHand) -> None:
    endings = [" refund" * 4, " password" * 4]
    texts = ["please " * 60 + ending for ending in endings]
    assert len(by_hand.windows(texts[0])) > 10
    one, other = predictor.predict_proba(texts)
    assert one == pytest.approx(by_hand.proba(texts[0]), abs=1e-6)
    assert np.abs(one - other).max() > 1e-3


@pytest.mark.parametrize("blank", ["", "   ", "\n\t", "\u3000"])
@pytest.mark.parametrize("top", [0, 2])
def test_an_empty_text_is_not_decided(predictor: Predictor, blank: str, top: int) -> None:
    full, empty = predictor.predict(["where is my order", blank], top)
    assert full.label is not None
    assert full.reason is None
    assert (empty.label, empty.score, empty.reason) == (None, None, "empty")
    assert not empty.candidates


def test_top_lists_the_best_candidates(predictor: Predictor, texts: list[str]) -> None:
    proba = predictor.predict_proba(texts)
    for row, answer in enumerate(predictor.predict(texts, top=3)):
        if answer.reason:
            continue
        best = np.sort(proba[row])[::-1][:3]
        assert [one.score for one in answer.candidates] == pytest.approx(best)
        assert answer.candidates[0].label == answer.label
        assert answer.candidates[0].score == answer.score
    assert len(predictor.predict(["order"], top=99)[0].candidates) == 8
    assert predictor.predict(["order"])[0].candidates is None


def test_no_rows_have_no_answers(predictor: Predictor) -> None:
    assert predictor.predict([]) == []
    assert predictor.predict_proba([]).shape == (0, 8)
    assert len(predictor.embed([])) == 0
    assert predictor.answers({"text": []}, top=3) == {"label": []}


def test_every_form_of_input_gives_the_same(predictor: Predictor, texts: list[str]) -> None:
    expected = predictor.predict(texts)
    forms: list[Any] = [
        tuple(texts),
        iter(texts),
        {"text": texts, "more": texts},
        [{"text": text, "id": at} for at, text in enumerate(texts)],
        pl.DataFrame({"text": texts}),
        pl.Series("text", texts),
        pd.DataFrame({"text": texts}, index=range(len(texts), 0, -1)),
        np.array(texts, object),
    ]
    for form in forms:
        assert predictor.predict(form) == expected


@pytest.mark.parametrize(
    ("inputs", "problem"),
    [
        ("one text", "the inputs are a single text"),
        ([{"txt": "a"}], "row 0: column 'text' is missing"),
        (["a", None], "row 1: None is no text"),
        (["a", "b", "\ud800"], "row 2: the text holds half of a surrogate pair"),
        (pl.DataFrame({"body": ["a"]}), "the rows have no column 'text'"),
    ],
)
def test_what_cannot_be_answered_is_named(predictor: Predictor, inputs: Any, problem: str) -> None:
    for call in (predictor.predict, predictor.predict_proba, predictor.embed):
        with pytest.raises(TunewrightError) as caught:
            call(inputs)
        assert caught.value.problem == problem


def test_a_nul_is_answered(predictor: Predictor) -> None:
    assert predictor.predict(["where is\x00 my order\x00"])[0].label is not None


def test_several_columns_are_read_by_name(static_bundle: ModuleType, tmp_path: Path) -> None:
    texts, labels = ["red apple\nsweet", "green pear\nsour"] * 6, ["apple", "pear"] * 6
    static_bundle.static_bundle(tmp_path / "fruit", texts, labels, 4, columns=("what", "how"))
    predictor = load(tmp_path / "fruit")
    rows = [{"how": "sweet", "what": "apple"}, {"how": None, "what": "pear"}, {"what": " ", "how": None}]
    answers = predictor.predict(rows)
    assert [answer.label for answer in answers] == ["apple", "pear", None]
    assert answers[2].reason == "empty"
    assert predictor.predict({"what": ["apple", "pear", " "], "how": ["sweet", None, None]}) == answers
    with pytest.raises(TunewrightError, match="is one value, but the inputs are what, how"):
        predictor.predict(["apple"])


def test_eight_threads_at_once_get_the_answers_of_one(predictor: Predictor, texts: list[str]) -> None:
    parts = [texts[at::5] for at in range(5)] * 12
    alone = [predictor.predict_proba(part) for part in parts]
    with ThreadPoolExecutor(8) as pool:
        for found, expected in zip(pool.map(predictor.predict_proba, parts), alone, strict=True):
            assert found == pytest.approx(expected, abs=1e-6)


def test_any_number_of_threads_gives_the_answers_of_one(
    bundle: Path, predictor: Predictor, texts: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tunewright.runtime.encoder.COST_BUDGET", 16)  # many batches, several of them at once
    wide = Predictor.load(bundle, threads=3)
    one, three = (next(iter(each.logits(texts).values())) for each in (predictor, wide))
    assert np.allclose(one, three, atol=1e-5)
    assert np.allclose(next(iter(wide.logits(texts[:1]).values())), one[:1], atol=1e-5)


def test_a_stream_is_answered_chunk_by_chunk(predictor: Predictor, texts: list[str]) -> None:
    asked: list[int] = []

    def chunks() -> Any:
        for at in range(0, len(texts), 10):
            asked.append(at)
            yield texts[at : at + 10]

    answers = predictor.stream(chunks(), top=1)
    first = next(answers)
    assert asked == [0]
    rest = [one for chunk in answers for one in chunk["label"]]
    assert [one.label for one in first["label"] + rest] == [one.label for one in predictor.predict(texts, 1)]


def test_batches_of_any_make_give_the_same(predictor: Predictor, texts: list[str]) -> None:
    windows = predictor.modality.windows([texts])
    head = "head.label"
    usual = np.stack(predictor.run(windows, [head])[head])
    for batches in ([np.arange(len(windows))], [np.array([at]) for at in range(len(windows))]):
        assert np.stack(predictor.run(windows, [head], batches)[head]) == pytest.approx(usual, abs=1e-5)


def copied(bundle: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(bundle, tmp_path / "copy"))


def test_a_damaged_file_is_refused_by_name(bundle: Path, tmp_path: Path) -> None:
    folder = copied(bundle, tmp_path)
    needed = [name for name in read_manifest(folder).files if name != "reference.json"]
    assert len(needed) == 6
    for name in needed:
        content = (folder / name).read_bytes()
        middle = len(content) // 2
        (folder / name).write_bytes(content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :])
        with pytest.raises(DamagedBundle) as caught:
            load(folder)
        assert str(folder / name) in caught.value.problem
        (folder / name).unlink()
        with pytest.raises(DamagedBundle, match="the file is missing"):
            load(folder)
        (folder / name).write_bytes(content)
    load(folder)


def test_no_bundle_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(TunewrightError, match="there is no such folder"):
        load(tmp_path / "none")
    with pytest.raises(TunewrightError, match="there is no bundle"):
        load(tmp_path)


def test_a_bundle_is_loaded_from_where_one_stands(
    bundle: Path, monkeypatch: pytest.MonkeyPatch, predictor: Predictor
) -> None:
    monkeypatch.chdir(bundle)
    assert load(".").predict(["where is my order"]) == predictor.predict(["where is my order"])
    monkeypatch.chdir(bundle.parent)
    for name in ("intents", "intents/", "./intents", str(bundle) + "/"):
        assert tunewright.load(name).manifest.digest == predictor.manifest.digest


def test_a_switch_that_a_kill_cut_short_is_ended_by_the_next_reader(bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "intents.run").mkdir()
    shutil.copytree(bundle, tmp_path / "intents.run" / "ready")
    assert load(tmp_path / "intents").predict(["where is my order"])[0].label
    assert (tmp_path / "intents" / MANIFEST).is_file()


def test_the_same_rows_give_the_same_bundle(static_bundle: ModuleType, tmp_path: Path) -> None:
    texts, labels = ["red apple", "green pear", "red apple pie"] * 5, ["apple", "pear", "apple"] * 5
    made = [static_bundle.static_bundle(tmp_path / place / "fruit", texts, labels, 4) for place in "ab"]
    assert made[0].digest == made[1].digest
    other = static_bundle.static_bundle(tmp_path / "c" / "fruit", texts[3:], labels[3:], 4)
    assert other.digest != made[0].digest


COLD = """
import sys
import tunewright
predictor = tunewright.load(sys.argv[1])
assert predictor.predict(["where is my order", ""], top=2)[0].candidates
predictor.embed(["a"])
assert "tunewright.runtime.explain" not in sys.modules
print(*sorted({name.partition(".")[0] for name in sys.modules}))
"""
FORBIDDEN = {"torch", "transformers", "sklearn", "scipy", "onnx", "onnxscript", "safetensors"}
NOT_NEEDED = {"difflib", "pydantic", "polars", "pandas", "typer", "rich", "fastapi", "huggingface_hub"}


@pytest.mark.parametrize("updated", [False, True])
def test_predicting_imports_no_training_library(updated: bool, bundle: Path) -> None:
    folder = Path(__file__).parent / "bundles" / "format-4" if updated else bundle
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", COLD, str(folder)], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    found = set(done.stdout.split())
    assert {"onnxruntime", "tokenizers", "numpy"} <= found
    assert found & (FORBIDDEN | NOT_NEEDED) == set()


def test_predicting_works_where_the_training_libraries_are_not_installed(bundle: Path) -> None:
    """Every import of them fails, as it does without the extra ``train``."""
    code = f"import sys\nsys.modules.update(dict.fromkeys({sorted(FORBIDDEN)!r}))\n{COLD}"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code, str(bundle)], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
