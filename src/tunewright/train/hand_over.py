"""A bundle laid out for other programs: a Hugging Face folder, or the bare ONNX graphs."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import onnx
from safetensors.torch import save_file

from tunewright.core import plugins
from tunewright.core.bundle import Manifest, read_manifest, verify
from tunewright.core.errors import TunewrightError
from tunewright.core.folder import new_folder
from tunewright.runtime.updates import read
from tunewright.train.opened import closed
from tunewright.train.rebuild import encoder_of, tensors_of

HF_README = """# {name}

A text encoder and its {heads}, fine-tuned with Tunewright from `{backbone}` ({licence}).
The folder loads with transformers; {each} is a linear map on the pooled, normalised state:

```python
import json, torch
from pathlib import Path
from safetensors.torch import load_file
from transformers import AutoModel, AutoTokenizer

folder = Path(".")
tokenizer, encoder = AutoTokenizer.from_pretrained(folder), AutoModel.from_pretrained(folder).eval()
head, about = load_file(folder / "head.safetensors"), json.loads((folder / "head.json").read_text("utf-8"))

def logits(texts):
    batch = tokenizer([about["prefix"] + text for text in texts], padding=True, truncation=True,
                      max_length=about["max_tokens"], return_tensors="pt")
    with torch.no_grad():
        states, mask = encoder(**batch).last_hidden_state, batch["attention_mask"].unsqueeze(-1).float()
    pooled = {pooling}
    pooled = torch.nn.functional.normalize(pooled, dim=-1)
    return {logits}
```

`head.json` holds the labels in the order of the logits, and the calibration.
"""

README_OF = {
    False: {"heads": "head", "each": "the head", "logits": 'pooled @ head["weight"].T + head["bias"]'},
    True: {
        "heads": "heads, one for each target",
        "each": "each head",
        "logits": '{one["name"]: pooled @ head[one["name"] + ".weight"].T + head[one["name"] + ".bias"]\n'
        '            for one in about["targets"]}',
    },
}
"""What the README says of one target, and of several."""

POOLED = {
    "mean": "(states * mask).sum(1) / mask.sum(1)",
    "cls": "states[:, 0]",
    "max": "(states + (mask - 1) * 1e4).amax(1)",
}


def to_hf(bundle: Path, out: Path) -> Path:
    """A folder that transformers loads, with the head beside it and a README that says how to use both.

    Raises
    ------
    TunewrightError
        The bundle's backbone or head has no such form, or ``out`` exists.
    """
    manifest = _opened(bundle)
    if manifest.backbone["family"] not in plugins.names("backbones"):  # such as n-grams
        raise TunewrightError(f"{bundle}: this bundle has no Hugging Face form", "use --to onnx")
    family = plugins.load("backbones", manifest.backbone["family"])
    heads = {one["name"]: tensors_of(bundle, manifest, f"head.{one['name']}") for one in manifest.targets}
    linear = {"pooled.linear.weight", "pooled.linear.bias"}
    if not hasattr(family, "tensors") or any(set(head) != linear for head in heads.values()):
        remedy = "use --to onnx"
        if manifest.method["name"] == "blend":
            remedy += ", or fit one without words in it (--set fit.blend=false)"
        raise TunewrightError(f"{bundle}: this bundle has no Hugging Face form", remedy)
    config = manifest.backbone["config"]
    if config.get("head_width"):
        raise TunewrightError(
            f"{bundle}: heads of its attention were pruned, which a model of transformers has no place for",
            "use --to onnx",
        )
    own = encoder_of(bundle, manifest)
    theirs = family.tensors(own, config)
    if sum(one.numel() for one in own.values()) != sum(one.numel() for one in theirs.values()):
        name = manifest.backbone["family"]
        raise TunewrightError(
            f"{bundle}: method {manifest.method['name']!r} adds tensors to the encoder that a {name} model of "
            "transformers has no place for",
            "use --to onnx",
        )
    with new_folder(out) as folder:
        save_file(theirs, folder / "model.safetensors", {"format": "pt"})
        _write_json(folder / "config.json", config)
        _write_tokenizer(bundle, manifest, folder)
        save_file(_named(heads), folder / "head.safetensors")
        settings = manifest.modalities["text"]
        about = {
            "pooling": manifest.backbone["pooling"],
            "prefix": settings["prefix"],
            "max_tokens": settings["max_tokens"],
        }
        several = len(heads) > 1
        targets = {"targets": manifest.targets} if several else {"target": manifest.targets[0]}
        _write_json(folder / "head.json", about | targets)
        told = {
            "name": manifest.name,
            "backbone": manifest.backbone["name"],
            "licence": manifest.backbone["licence"] or "?",
        }
        readme = HF_README.format(**told, pooling=POOLED[manifest.backbone["pooling"]], **README_OF[several])
        (folder / "README.md").write_text(readme, encoding="utf-8")
    return out


def to_onnx(bundle: Path, out: Path) -> Path:
    """Every graph as one ONNX file with its tensors inside, the tokenizer, and ``about.json``.

    Raises
    ------
    TunewrightError
        ``out`` exists.
    """
    manifest = _opened(bundle)
    with new_folder(out) as folder:
        graphs = {}
        for name, part in manifest.parts.items():
            graph = onnx.load(bundle / part.file)
            own = closed(graph, read(bundle / part.updates)) if part.updates else graph
            onnx.save_model(own, folder / f"{name}.onnx")
            graphs[name] = f"{name}.onnx"
        for name in manifest.modalities:
            if (bundle / "modality" / name).is_dir():  # a modality may need settings alone
                shutil.copytree(bundle / "modality" / name, folder / name)
        about = {
            "graphs": graphs,
            "inputs": manifest.inputs,
            "modalities": manifest.modalities,
            "targets": manifest.targets,
        }
        _write_json(folder / "about.json", about)
    return out


def _opened(bundle: Path) -> Manifest:
    manifest = read_manifest(bundle)
    verify(bundle, manifest)
    return manifest


def _named(heads: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """``weight`` and ``bias`` of the head; of several, each after its target's name."""
    return {
        ("" if len(heads) == 1 else f"{target}.") + name.rpartition(".")[2]: value
        for target, head in heads.items()
        for name, value in head.items()
    }


def _write_json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


def _write_tokenizer(bundle: Path, manifest: Manifest, folder: Path) -> None:
    shutil.copy(bundle / "modality" / "text" / "tokenizer.json", folder / "tokenizer.json")
    settings = manifest.modalities["text"]
    tokens = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    pad = next((one["content"] for one in tokens["added_tokens"] if one["id"] == settings["pad_id"]), "[PAD]")
    names = {"tokenizer_class": "PreTrainedTokenizerFast", "pad_token": pad, "model_max_length": settings["max_tokens"]}
    _write_json(folder / "tokenizer_config.json", names | {"model_input_names": ["input_ids", "attention_mask"]})
