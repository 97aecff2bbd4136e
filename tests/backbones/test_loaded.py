"""Reading a folder: pooling, prefix, windows, and what is refused, by its message."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from tunewright.backbones._load import load
from tunewright.backbones._loaded import LoadedBackbone
from tunewright.core.errors import TunewrightError
from tunewright.core.sections import Fit

Save = Callable[..., tuple[Path, Any]]


@pytest.fixture
def folder(save: Save) -> Path:
    return save("Bert")[0]


def opened(folder: Path, **settings: Any) -> LoadedBackbone:
    return load(str(folder), Fit(**settings))[0]


def put(folder: Path, name: str, content: dict[str, Any]) -> None:
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(content), encoding="utf-8")


def changed(folder: Path, **values: Any) -> Path:
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    put(folder, "config.json", config | values)
    return folder


@pytest.mark.parametrize(
    ("content", "pooling"),
    [
        ({"pooling_mode_cls_token": False, "pooling_mode_mean_tokens": True}, "mean"),
        ({"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}, "cls"),
        ({"pooling_mode_max_tokens": True}, "max"),
        ({"pooling_mode": "cls"}, "cls"),
    ],
)
def test_pooling_is_read_from_the_folder(content: dict[str, Any], pooling: str, folder: Path) -> None:
    put(folder, "1_Pooling/config.json", content)
    backbone = opened(folder)
    assert backbone.pooling == pooling
    assert f"pooling {pooling}, as the model's folder says" in backbone.notes


def test_without_a_word_on_pooling_it_is_the_mean_and_said(folder: Path) -> None:
    assert opened(folder).pooling == "mean"
    assert "pooling mean: the model's folder names none" in opened(folder).notes


@pytest.mark.parametrize(
    ("content", "named"),
    [
        ({"pooling_mode": "lasttoken"}, "lasttoken"),
        ({"pooling_mode_mean_tokens": False, "pooling_mode_lasttoken": True}, "lasttoken"),
        ({"pooling_mode_mean_tokens": True, "pooling_mode_max_tokens": True}, r"mean\+max"),
        ({"pooling_mode_mean_sqrt_len_tokens": True}, "mean_sqrt_len"),
    ],
)
def test_a_pooling_that_is_not_known_is_refused(content: dict[str, Any], named: str, folder: Path) -> None:
    put(folder, "1_Pooling/config.json", content)
    with pytest.raises(TunewrightError, match=f"pooling '{named}' is not known → use one with mean, cls or max"):
        opened(folder)


def test_e5_gets_its_prefix_by_itself_and_the_task_wins(folder: Path) -> None:
    e5 = folder.rename(folder.with_name("my-e5-small"))
    assert opened(e5).modality.prefix == "query: "
    assert any("prefix 'query: '" in note for note in opened(e5).notes)
    assert opened(e5, prefix="").modality.prefix == ""
    assert opened(e5, prefix="passage: ").modality.prefix == "passage: "


def test_windows_are_as_long_as_positions_and_settings_allow(folder: Path) -> None:
    assert opened(folder).modality.max_tokens == 40
    put(folder, "sentence_bert_config.json", {"max_seq_length": 24})
    assert opened(folder).modality.max_tokens == 24
    assert opened(folder, max_tokens=30).modality.max_tokens == 30
    with pytest.raises(TunewrightError, match="fit.max_tokens = 41: the backbone has 40 positions → set at most 40"):
        opened(folder, max_tokens=41)


def test_roberta_has_fewer_positions_than_rows_in_its_table(save: Save) -> None:
    assert opened(save("Roberta")[0]).modality.max_tokens == 38


def test_no_fast_tokenizer(folder: Path) -> None:
    (folder / "tokenizer.json").unlink()
    with pytest.raises(TunewrightError, match=r"no fast tokenizer \(tokenizer.json\) → save one with AutoTokenizer"):
        opened(folder)


def test_weights_in_a_pickle_are_never_opened(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(b"cos\nsystem\n(S'false'\ntR.")
    with pytest.raises(TunewrightError, match="only pytorch_model.bin, a pickle, which is never opened → save"):
        opened(folder)


def test_no_weights(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    with pytest.raises(TunewrightError, match="it has no model.safetensors"):
        opened(folder)


def test_an_unknown_family(folder: Path) -> None:
    problem = r"model type 'bort' is of no known family, nor known to transformers [\d.]+ → choose an encoder"
    with pytest.raises(TunewrightError, match=problem):
        opened(changed(folder, model_type="bort"))


def test_positions_that_are_not_absolute_are_no_known_family(folder: Path) -> None:
    with pytest.raises(TunewrightError, match="is of no known family"):
        opened(changed(folder, position_embedding_type="relative_key"))


def test_no_config(folder: Path) -> None:
    (folder / "config.json").unlink()
    with pytest.raises(TunewrightError, match="no config.json with a model_type is of no known family"):
        opened(folder)


def test_a_model_with_code_of_its_own(folder: Path) -> None:
    with pytest.raises(TunewrightError, match="needs code of its own, which is never run → choose another"):
        opened(changed(folder, auto_map={"AutoModel": "modeling.Mine"}))


@pytest.mark.parametrize(
    ("change", "which"),
    [({"num_hidden_layers": 3}, "encoder.layer.2"), ({"hidden_size": 64}, "Error"), ({"vocab_size": 9}, "Error")],
)
def test_weights_that_do_not_fit(change: dict[str, Any], which: str, folder: Path) -> None:
    message = f"the weights do not fit a bert encoder: .*{which}.* → check that config.json and the weights belong"
    with pytest.raises(TunewrightError, match=message):
        opened(changed(folder, **change))


def test_an_unknown_activation(folder: Path) -> None:
    with pytest.raises(TunewrightError, match="activation 'gelu_neu' is unknown → did you mean 'gelu_new'"):
        opened(changed(folder, hidden_act="gelu_neu"))


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"<html>not found</html>" * 20, "not a safetensors file"),
        (b"", "not a safetensors file"),
        ((5).to_bytes(8, "little") + b"[1,2]" + bytes(9), "not a safetensors file"),
        (None, r"the file is cut short \(\d+ bytes\)"),
    ],
)
def test_weights_that_are_damaged(content: bytes | None, problem: str, folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100] if content is None else content)
    with pytest.raises(TunewrightError, match=f"model.safetensors: {problem} → download the model again"):
        opened(folder)


def test_a_config_that_is_no_json(folder: Path) -> None:
    (folder / "config.json").write_text("<html>", encoding="utf-8")
    with pytest.raises(TunewrightError, match="config.json: not JSON: .* → download the model again"):
        opened(folder)


def test_the_padding_id_is_that_of_the_tokenizer(save: Save) -> None:
    folder, _ = save("Bert")
    assert opened(folder).modality.pad_id == 0
    put(folder, "tokenizer_config.json", {"pad_token": "[MASK]"})
    assert opened(folder).modality.pad_id == 4


def test_texts_become_the_ids_that_transformers_makes(folder: Path, tmp_path: Path) -> None:
    import transformers

    tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_file=str(folder / "tokenizer.json"), pad_token="[PAD]")
    texts = ["where is my parcel?", "please cancel it"]
    expected = tokenizer(texts, padding=True, return_tensors="np")
    modality = opened(folder).modality
    windows = modality.windows([texts])
    found = modality.batch(windows, torch.arange(2).numpy())
    for name in ("input_ids", "attention_mask"):
        assert found[name].tolist() == expected[name].tolist()
