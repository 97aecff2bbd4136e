"""Tables in 8 bits: the matrices stay, and with fp16 behind it two bytes a number are left for them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tunewright.compress import fp16, int8_words
from tunewright.compress._copy import Copy
from tunewright.core.errors import TunewrightError
from tunewright.runtime.predictor import Predictor

(SETTING,) = int8_words.SETTINGS
TEXTS = ["my card was stolen", "where is my refund?"]


def test_only_tables_change_and_answers_hardly(make: Callable[..., Copy], tiny_bundle: Path) -> None:
    copy = make("int8_words", SETTING)
    before, after = Copy.of(tiny_bundle, copy.folder.with_name("before")), copy.tensors("encoder.text")
    whole = before.tensors("encoder.text")
    table = after["words.weight_int8"] * after["words.weight_row_scale"]
    assert after["words.weight_int8"].dtype == np.int8
    assert np.abs(table - whole["words.weight"]).max() <= np.abs(whole["words.weight"]).max() / 127
    matrices = [name for name, one in whole.items() if one.ndim == 2 and name in after]
    assert matrices
    assert all((after[name] == whole[name]).all() for name in matrices)
    expected = Predictor.load(tiny_bundle, 1).logits(TEXTS)
    for name, logits in Predictor.load(copy.folder, 1).logits(TEXTS).items():
        assert 0 < np.abs(logits - expected[name]).max() < 0.1 * expected[name].std()


def test_fp16_comes_behind_it_not_before(make: Callable[..., Copy], tiny_bundle: Path, tmp_path: Path) -> None:
    copy = make("int8_words", SETTING)
    small = copy.again(tmp_path / "small")
    fp16.run(small, fp16.SETTINGS[0])
    small.sealed("fp16", fp16.SETTINGS[0], "")
    kinds = {one.dtype for one in small.tensors("encoder.text").values() if one.size > 1_000}
    assert kinds == {np.dtype(np.int8), np.dtype(np.float16)}
    assert Predictor.load(small.folder, 1).predict(TEXTS)
    halved = make("fp16", fp16.SETTINGS[0], name="halved")
    with pytest.raises(TunewrightError, match=r"stands after fp16\n? *→ put it first: --to .int8_words,fp16"):
        int8_words.run(halved, SETTING)
    with pytest.raises(TunewrightError, match="no table of words in fp32"):
        int8_words.run(copy.again(tmp_path / "twice"), SETTING)
