"""Encoders of other makes: the states of transformers, trained and exported as any other, and what is refused."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import tunewright
from tunewright import samples
from tunewright.backbones._load import load
from tunewright.backbones._loaded import LoadedBackbone
from tunewright.backbones._module import ModuleEncoder
from tunewright.backbones._vocabulary import NarrowWords, narrowed, widened
from tunewright.core.errors import MissingExtra, TunewrightError
from tunewright.core.sections import Fit
from tunewright.methods import adapter, bitfit, lora, top
from tunewright.objectives._parts import named
from tunewright.train import trial
from tunewright.train.depth import depths
from tunewright.train.device import fast
from tunewright.train.export import export
from tunewright.train.hand_over import to_hf

FAMILIES = ("Electra", "Albert", "MPNet", "DebertaV2", "ModernBert")
TEXTS = ["where is my parcel?", "please cancel the order that i placed this morning", "thanks", "我的包裹在哪里"]
IDS = torch.tensor([[2, 40, 41, 9, 77, 30, 12, 50, 3], [2, 77, 9, 3, 0, 0, 0, 0, 0], [2, 3, 0, 0, 0, 0, 0, 0, 0]])
BATCH = {"input_ids": IDS, "attention_mask": (IDS > 0).long()}
REAL = IDS > 0
Save = Callable[..., tuple[Path, Any]]


def opened(folder: Path, **settings: Any) -> LoadedBackbone:
    return load(str(folder), Fit(**settings))[0]


@pytest.mark.parametrize("family", FAMILIES)
def test_states_are_those_of_transformers(family: str, save: Save) -> None:
    folder, model = save(family)
    backbone = opened(folder)
    assert (backbone.family, backbone.width) == ("automodel", 32)
    kind = json.loads((folder / "config.json").read_text(encoding="utf-8"))["model_type"]
    assert backbone.notes[0] == f"model type {kind!r}: the module of transformers is trained, on batches of like length"
    with torch.no_grad():
        expected = model(**BATCH).last_hidden_state
        states, mask = backbone.encoder.eval()(**BATCH)
    torch.testing.assert_close(states[REAL], expected[REAL], atol=1e-5, rtol=0)
    torch.testing.assert_close(mask, BATCH["attention_mask"].float())
    assert states[REAL].std() > 0.5


@pytest.mark.parametrize("family", FAMILIES)
def test_a_larger_model_of_the_family_gives_its_encoder(family: str, save: Save) -> None:
    folder, model = save(family, "ForMaskedLM")
    with torch.no_grad():
        expected = model.base_model(**BATCH).last_hidden_state
        torch.testing.assert_close(opened(folder).encoder.eval()(**BATCH)[0][REAL], expected[REAL], atol=1e-5, rtol=0)


@pytest.mark.parametrize("family", FAMILIES)
def test_every_parameter_moves(family: str, save: Save) -> None:
    """Nothing is trained in vain, such as a pooler that no head asks."""
    encoder = opened(save(family)[0]).encoder.eval()
    weights = torch.randn(3, 9, 32, generator=torch.Generator().manual_seed(0))
    (encoder(**BATCH)[0] * weights * REAL.unsqueeze(-1)).sum().backward()
    assert [name for name, one in encoder.named_parameters() if one.grad is None] == []


@pytest.mark.parametrize("family", FAMILIES)
def test_a_step_in_bf16_goes_the_way_of_the_exact_one(family: str, save: Save) -> None:
    encoder = opened(save(family)[0]).encoder.eval()
    gradients = []
    for bf16 in (False, True):
        encoder.zero_grad(set_to_none=True)
        with fast(torch.device("cpu"), bf16):
            states, mask = encoder(**BATCH)
        weights = torch.randn(3, 9, 32, generator=torch.Generator().manual_seed(0))
        (states.float() * weights * mask.unsqueeze(-1)).sum().backward()
        gradients.append(torch.cat([one.grad.flatten() for one in encoder.parameters() if one.grad is not None]))
    assert torch.nn.functional.cosine_similarity(*gradients, dim=0) > 0.98


@pytest.mark.parametrize("family", FAMILIES)
def test_a_narrowed_word_table_says_the_same_and_comes_back_whole(family: str, save: Save) -> None:
    encoder = opened(save(family)[0]).encoder.eval()
    assert isinstance(encoder, ModuleEncoder)
    small = narrowed(encoder, IDS.unique())
    assert isinstance(small.words, NarrowWords)
    with torch.no_grad():
        torch.testing.assert_close(small(**BATCH)[0][REAL], encoder(**BATCH)[0][REAL], atol=1e-6, rtol=0)
    again = widened(small, encoder).state_dict()
    assert all(torch.equal(again[name], one) for name, one in encoder.state_dict().items())


@pytest.mark.parametrize(("family", "room"), [("Electra", 40), ("MPNet", 38), ("DebertaV2", 40), ("ModernBert", 40)])
def test_windows_are_as_long_as_its_positions(family: str, room: int, save: Save) -> None:
    folder, _ = save(family)
    assert opened(folder).modality.max_tokens == room
    with pytest.raises(TunewrightError, match=f"fit.max_tokens = {room + 1}: the backbone has {room} positions"):
        opened(folder, max_tokens=room + 1)
    full = torch.full((1, room), 7)
    opened(folder).encoder(full, torch.ones_like(full))


def test_without_transformers_the_extra_is_named(save: Save, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, _ = save("Electra")
    from tunewright import backbones

    monkeypatch.delitem(sys.modules, "tunewright.backbones._transformers", raising=False)
    monkeypatch.delattr(backbones, "_transformers", raising=False)
    monkeypatch.setitem(sys.modules, "transformers", None)
    problem = (
        r"model type 'electra'\) needs transformers, which is not installed → pip install 'tunewright\[encoders\]'"
    )
    with pytest.raises(MissingExtra, match=problem):
        opened(folder)


def test_a_decoder_is_no_encoder(save: Save) -> None:
    sizes = {"n_embd": 32, "n_layer": 1, "n_head": 2}
    folder, _ = save("GPT2", hidden_size=32, **sizes)
    problem = r"model type 'gpt2' is no encoder: the state of a token does not depend on those after it \(a decoder\)"
    with pytest.raises(TunewrightError, match=problem + " → choose an encoder, such as one of BERT"):
        opened(folder)


def test_an_encoder_with_a_decoder_is_none(save: Save) -> None:
    folder, _ = save("T5", d_model=32, d_kv=8, d_ff=32, num_layers=1, num_heads=2)
    with pytest.raises(TunewrightError, match=r"'t5' is no encoder: it reads a text to write another one .* → choose"):
        opened(folder)


def test_a_model_of_pictures_is_none(save: Save) -> None:
    folder, _ = save("ViT", image_size=8, patch_size=4, hidden_size=32, num_hidden_layers=1, num_attention_heads=2)
    with pytest.raises(
        TunewrightError, match=r"'vit' is no encoder: it does not run on tokens alone: \w+: .* → choose"
    ):
        opened(folder)


def test_a_tokenizer_without_a_padding_token(save: Save) -> None:
    folder, _ = save("Electra", pad_token_id=None)
    words = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    words["added_tokens"] = [one for one in words["added_tokens"] if one["content"] != "[PAD]"]
    words["model"]["vocab"]["[GAP]"] = words["model"]["vocab"].pop("[PAD]")
    (folder / "tokenizer.json").write_text(json.dumps(words), encoding="utf-8")
    with pytest.raises(
        TunewrightError, match="its tokenizer has no padding token → name one of its tokens as pad_token"
    ):
        opened(folder)
    (folder / "tokenizer_config.json").write_text(json.dumps({"pad_token": "[GAP]"}), encoding="utf-8")
    assert opened(folder).modality.pad_id == 0


def test_weights_that_are_missing_are_not_made_up(save: Save) -> None:
    folder, _ = save("Electra")
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    (folder / "config.json").write_text(json.dumps(config | {"num_hidden_layers": 3}), encoding="utf-8")
    with pytest.raises(TunewrightError, match=r"do not fit a electra encoder: encoder.layer.2\S* is missing → check"):
        opened(folder)
    (folder / "config.json").write_text(json.dumps(config | {"vocab_size": 9}), encoding="utf-8")
    with pytest.raises(
        TunewrightError, match="do not fit a electra encoder: .* → check that config.json and the weights"
    ):
        opened(folder)


def test_weights_in_a_pickle_are_never_opened(save: Save) -> None:
    folder, _ = save("Electra")
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(TunewrightError, match="only pytorch_model.bin, a pickle, which is never opened"):
        opened(folder)


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
def test_its_graph_says_the_same_and_stores_each_weight_once(family: str, save: Save, tmp_path: Path) -> None:
    layers = 2 if family == "ModernBert" else 1  # the second one attends to neighbours alone
    folder, _ = save(family, hidden_size=64, intermediate_size=256, num_hidden_layers=layers)
    backbone, found = load(str(folder), Fit())
    heard: list[str] = []
    trial.TRIED.clear()
    for _ in range(2):
        trial.try_export(backbone, found, [TEXTS], Heard(heard))  # type: ignore[arg-type]
    assert heard == [f"{found.name}: trying the export of its encoder before any training"], (
        "the second time it is known"
    )
    windows = backbone.modality.windows([TEXTS])
    (part,) = export(tmp_path, "text", backbone.modality, windows, backbone.encoder, {}).values()
    inside = (tmp_path / part.file).stat().st_size
    assert inside < 0.5 * (tmp_path / part.data[0]).stat().st_size, "the graph has no weights of its own"


class Heard:
    """A run that keeps what is said."""

    def __init__(self, said: list[str]) -> None:
        self.said = said

    def log(self, event: str, **facts: Any) -> None:
        self.said.append(facts["say"])


def test_what_cannot_be_exported_is_refused_before_training(save: Save, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, _ = save("Electra")
    backbone, found = load(str(folder), Fit())
    trial.TRIED.clear()

    def fails(*given: Any) -> None:
        raise RuntimeError("no such operator\nand more")

    monkeypatch.setattr(trial, "export", fails)
    problem = r"\(electra\) cannot be exported: RuntimeError: no such operator → choose another backbone; nothing was"
    with pytest.raises(TunewrightError, match=problem):
        trial.try_export(backbone, found, [TEXTS], Heard([]))  # type: ignore[arg-type]
    assert not trial.TRIED


@pytest.mark.slow
@pytest.mark.parametrize(("family", "method"), [("Electra", "full"), ("MPNet", "contrastive")])
def test_from_rows_to_a_bundle_that_is_served_without_torch(
    family: str, method: str, save: Save, tmp_path: Path, traced_once: None
) -> None:
    folder, _ = save(family, num_hidden_layers=1)
    own = {"fit.backbone": str(folder), "fit.method": method, "fit.epochs": 1, "fit.learning_rate": 2e-2}
    own |= {"fit.average": 0.0, "fit.threads": 1, "fit.precision": "fp32"}
    out = tmp_path / "bundle"
    test = samples.path("support_test.csv")
    tunewright.fit(samples.path("support_train.csv"), test=test, text="text", label="intent", out=out, settings=own)
    code = f"""
import json, sys, tunewright
predictor = tunewright.load({str(out)!r})
texts = {TEXTS!r}
print(json.dumps([predictor.logits(texts)["intent"].tolist(), predictor.embed(texts).tolist()]))
assert not {{"torch", "transformers", "sklearn", "onnx"}} & set(sys.modules), "serving imports a training library"
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    logits, vectors = (np.array(one) for one in json.loads(done.stdout))
    assert np.ptp(logits, axis=0).max() > 1e-3
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    again = to_hf(out, tmp_path / "hf")
    backbone = opened(again)
    with torch.no_grad():
        windows = backbone.modality.windows([TEXTS])
        batch = backbone.modality.batch(windows, np.arange(len(windows)))
        states, mask = backbone.encoder.eval()(**{name: torch.from_numpy(one) for name, one in batch.items()})
    mean = (states * mask.unsqueeze(-1)).sum(1) / mask.sum(1, keepdim=True)
    np.testing.assert_allclose(torch.nn.functional.normalize(mean, dim=-1).numpy(), vectors, atol=1e-4)


@pytest.fixture
def context(save: Save, make_context: Callable[..., Any]) -> Callable[..., Any]:
    def make(family: str = "Electra", **settings: Any) -> Any:
        return make_context("classify", {"fit.epochs": 1, "fit.batch_rows": 16} | settings, backbone=save(family)[0])

    return make


def test_methods_that_put_tensors_into_layers_say_what_to_use_instead(context: Callable[..., Any]) -> None:
    problem = (
        r"method 'adapter' does not fit backbone '.*': its encoder \(ModuleEncoder\) is not one of the BERT family"
    )
    with pytest.raises(TunewrightError, match=problem + " → use --method lora or --method full"):
        adapter.fit(context())
    with pytest.raises(
        TunewrightError, match="'top' needs an encoder of the BERT family, which a automodel is not → use"
    ):
        top.fit(context())


def test_lora_reaches_its_linear_layers_and_goes_into_its_weights(context: Callable[..., Any]) -> None:
    given = context()
    fitted = lora.fit(given)
    assert set(fitted.encoder.state_dict()) == set(given.backbone.encoder.state_dict())
    layers, width, inner, rank = 2, 32, 48, 8
    expected = 16 * rank + width * rank  # from the embeddings to the width
    expected += layers * (4 * 2 * width * rank + 2 * (width + inner) * rank)
    assert fitted.facts["encoder_parameters"] == expected


def test_biases_alone_where_there_are_some(context: Callable[..., Any]) -> None:
    assert bitfit.fit(context()).facts["encoder_parameters"] > 0
    with pytest.raises(TunewrightError, match="it has no biases → use --method full"):
        bitfit.fit(context("ModernBert"))


def test_objectives_on_embeddings_find_its_word_table(save: Save) -> None:
    encoder = opened(save("Electra")[0]).encoder
    assert named(torch.nn.Sequential(encoder), "words") == [encoder.model.embeddings.word_embeddings]


def test_step_sizes_by_depth(context: Callable[..., Any]) -> None:
    given = context()
    found = depths([f"encoder.{name}" for name, _ in given.backbone.encoder.named_parameters()])
    assert found["encoder.model.encoder.layer.1.output.dense.weight"] == 1
    assert found["encoder.model.encoder.layer.0.output.dense.weight"] == 2
    assert found["encoder.model.embeddings.word_embeddings.weight"] == 3
