"""A bundle for other programs: transformers and onnxruntime alone give the bundle's own logits."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

import tunewright
from tunewright import samples
from tunewright.core.bundle import read_manifest
from tunewright.core.errors import DamagedBundle, TunewrightError
from tunewright.pipeline import export
from tunewright.train.hand_over import to_hf, to_onnx

LORA = ("merged", "lora-0")
"""One fit, its updates merged into the weights, and beside them."""
TEXTS = ["where is my parcel?", "please cancel the order that i placed this morning", "thanks", "我的包裹在哪里"]


@pytest.fixture(scope="module")
def hf(tiny_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return to_hf(tiny_bundle, tmp_path_factory.mktemp("export") / "hf")


@pytest.fixture(scope="module")
def logits(tiny_bundle: Path) -> np.ndarray:
    found: np.ndarray = tunewright.load(tiny_bundle).logits(TEXTS)["intent"]
    return found


def test_the_readmes_snippet_gives_the_bundles_logits(
    hf: Path, logits: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    (snippet,) = re.findall(r"```python\n(.*?)```", (hf / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    monkeypatch.chdir(hf)
    names: dict[str, object] = {}
    exec(snippet, names)
    np.testing.assert_allclose(names["logits"](TEXTS).detach().numpy(), logits, atol=1e-4)  # type: ignore[operator]


def test_transformers_finds_model_and_tokenizer(hf: Path, tiny_bundle: Path) -> None:
    from transformers import AutoModel, AutoTokenizer

    model, report = AutoModel.from_pretrained(hf, output_loading_info=True)
    assert type(model).__name__ == "BertModel"
    assert not report["unexpected_keys"]
    assert all("pooler" in name for name in report["missing_keys"]), "the pooler is not part of a bundle"
    tokenizer = AutoTokenizer.from_pretrained(hf)
    windows = tunewright.load(tiny_bundle).modality.windows([TEXTS])
    assert [tokenizer(text)["input_ids"] for text in TEXTS] == [one.tolist() for one in windows.data["input_ids"]]
    assert tokenizer.pad_token_id == 0
    assert tokenizer.model_max_length == 64


def test_the_head_says_what_its_logits_mean(hf: Path, tiny_bundle: Path) -> None:
    about = json.loads((hf / "head.json").read_text(encoding="utf-8"))
    assert about["target"] == read_manifest(tiny_bundle).targets[0]
    assert (about["pooling"], about["prefix"], about["max_tokens"]) == ("mean", "", 64)


@pytest.mark.parametrize("pooling", ["cls", "max"])
def test_the_snippet_pools_as_the_model_does(
    pooling: str, tiny_backbone: Path, traced_once: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "e5-tiny"
    folder.mkdir()
    for path in tiny_backbone.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling" / "config.json").write_text(json.dumps({"pooling_mode": pooling}), encoding="utf-8")
    settings = {"fit.backbone": str(folder), "fit.method": "probe", "fit.threads": 1, "split.test": 0.0}
    train = samples.path("support_train.csv")
    predictor = tunewright.fit(train, text="text", label="intent", out=tmp_path / "b", settings=settings)
    assert predictor.manifest.backbone["pooling"] == pooling
    assert predictor.manifest.modalities["text"]["prefix"] == "query: "
    to_hf(tmp_path / "b", tmp_path / "hf")
    test_the_readmes_snippet_gives_the_bundles_logits(tmp_path / "hf", predictor.logits(TEXTS)["intent"], monkeypatch)


ALONE = """
import json, sys
from pathlib import Path
import numpy as np, onnxruntime, tokenizers
folder = Path(sys.argv[1])
about = json.loads((folder / "about.json").read_text())
names = ("encoder.text", "head.intent")
encoder, head = (onnxruntime.InferenceSession(folder / about["graphs"][name]) for name in names)
tokenizer = tokenizers.Tokenizer.from_file(str(folder / "text" / "tokenizer.json"))
tokenizer.enable_padding(pad_id=about["modalities"]["text"]["pad_id"])
rows = tokenizer.encode_batch(json.loads(sys.argv[2]))
inputs = {"input_ids": [one.ids for one in rows], "attention_mask": [one.attention_mask for one in rows]}
states, mask = encoder.run(None, inputs)
(logits,) = head.run(None, {"states": states, "mask": mask})
print(json.dumps(logits.tolist()))
assert not {"tunewright", "torch", "transformers", "onnx"} & set(sys.modules)
"""


def test_the_graphs_run_with_onnxruntime_alone(tiny_bundle: Path, logits: np.ndarray, tmp_path: Path) -> None:
    out = to_onnx(tiny_bundle, tmp_path / "onnx")
    assert sorted(path.name for path in out.iterdir()) == [
        "about.json", "embed.onnx", "encoder.text.onnx", "head.intent.onnx", "text"]  # fmt: skip
    done = subprocess.run([sys.executable, "-c", ALONE, out, json.dumps(TEXTS)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    np.testing.assert_allclose(json.loads(done.stdout), logits, atol=1e-4)
    about = json.loads((out / "about.json").read_text(encoding="utf-8"))
    assert about["targets"] == read_manifest(tiny_bundle).targets


@pytest.mark.parametrize("to", ["hf", "onnx"])
def test_a_folder_that_exists_is_left_alone(to: str, tiny_bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("x", encoding="utf-8")
    with pytest.raises(TunewrightError, match="mine: it exists already → choose another --out"):
        export(tiny_bundle, to, tmp_path / "mine")
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


@pytest.mark.parametrize("to", ["hf", "onnx"])
def test_a_damaged_bundle_is_not_handed_over(to: str, tiny_bundle: Path, tmp_path: Path) -> None:
    import shutil

    damaged = Path(shutil.copytree(tiny_bundle, tmp_path / "damaged"))
    path = damaged / read_manifest(damaged).parts["encoder.text"].data[0]
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(DamagedBundle, match="is damaged"):
        export(damaged, to, tmp_path / "out")
    assert [one.name for one in tmp_path.iterdir()] == ["damaged"]


def test_nothing_is_left_of_an_export_that_fails(
    tiny_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tunewright.train.hand_over._write_tokenizer", lambda *rest: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        to_hf(tiny_bundle, tmp_path / "hf")
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_form_is_named(tiny_bundle: Path, tmp_path: Path) -> None:
    with pytest.raises(TunewrightError, match="--to 'onx' is not known → did you mean 'onnx'"):
        export(tiny_bundle, "onx", tmp_path / "x")


def test_an_encoder_in_two_parts_is_whole_for_transformers_and_two_graphs_for_others(
    halved_bundles: dict[str, Path], tmp_path: Path
) -> None:
    models = [to_hf(halved_bundles[name], tmp_path / name) / "model.safetensors" for name in ("whole", "top-0")]
    assert models[0].read_bytes() == models[1].read_bytes()
    merged, beside = (load_file(to_hf(halved_bundles[name], tmp_path / name) / "model.safetensors") for name in LORA)
    assert all(np.abs(value - beside[name]).max() < 1e-6 for name, value in merged.items())
    out = to_onnx(halved_bundles["top-0"], tmp_path / "onnx")
    graphs = json.loads((out / "about.json").read_text(encoding="utf-8"))["graphs"]
    assert {"encoder.text", "upper.text"} < set(graphs)
    assert (out / graphs["upper.text"]).is_file()
