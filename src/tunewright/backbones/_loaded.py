"""What a family's ``load`` returns, and the reading of a Hugging Face folder that the text families share."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from tokenizers import Tokenizer
from torch import Tensor, nn

from tunewright.backbones._encoder import ACTIVATIONS, Encoder, Shape
from tunewright.backbones._names import Names
from tunewright.core.errors import TunewrightError, nearest
from tunewright.core.sections import Fit
from tunewright.core.types import Modality
from tunewright.modalities.text import Text


@dataclass(frozen=True)
class LoadedBackbone:
    """A pretrained network, ready to be trained.

    encoder : takes the modality's graph inputs by name, gives states (b, t, d) and mask float32 (b, t); has ``width``
    pooling : how its states were pooled in pretraining: ``mean``, ``cls`` or ``max``
    config : what the family needs to lay it out as a folder again
    notes : what was assumed, to be said
    """

    family: str
    modality_name: str
    modality: Modality
    encoder: nn.Module
    width: int
    pooling: str
    config: dict[str, Any]
    notes: tuple[str, ...] = ()


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object, or an empty one where there is no such file."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise TunewrightError(f"{path}: not JSON: {error}", "download the model again") from None
    return content if isinstance(content, dict) else {}


def load_text(family: str, folder: Path, shape: Shape, names: Names, fit: Fit) -> LoadedBackbone:
    """A text encoder from a Hugging Face folder."""
    if shape.activation not in ACTIVATIONS:
        raise TunewrightError(
            f"{folder}: activation {shape.activation!r} is unknown", nearest(shape.activation, ACTIVATIONS)
        )
    with torch.device("meta"):  # no memory and no random draws for weights that are read at once
        encoder = Encoder(shape)
    try:
        encoder.load_state_dict(names.own(read_tensors(folder), shape), assign=True)
    except (KeyError, RuntimeError) as error:
        raise TunewrightError(
            f"{folder}: the weights do not fit a {family} encoder: {str(error).splitlines()[0]}",
            "check that config.json and the weights belong together",
        ) from None
    config = read_json(folder / "config.json")
    modality, prefix_note = text_modality(folder, config, shape.positions - shape.position_offset, fit)
    how, pooling_note = pooling(folder)
    notes = tuple(note for note in (pooling_note, prefix_note) if note)
    return LoadedBackbone(family, "text", modality, encoder, shape.width, how, config, notes)


def tensor_files(folder: Path) -> list[Path]:
    """The folder's safetensors files; pickles are never opened."""
    files = sorted(folder.glob("*.safetensors"))
    if not files:
        pickled = [path.name for path in folder.glob("*.bin")]
        found = f"only {pickled[0]}, a pickle, which is never opened" if pickled else "no model.safetensors"
        raise TunewrightError(
            f"{folder}: it has {found}", "save the model with save_pretrained of a recent transformers"
        )
    return files


def read_tensors(folder: Path) -> dict[str, Tensor]:
    """Every tensor of the folder's safetensors files, as fp32."""
    out: dict[str, Tensor] = {}
    for path in tensor_files(folder):
        try:
            with safe_open(path, "pt") as file:
                out |= {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
        except Exception as error:  # the library raises its own untyped error
            raise TunewrightError(f"{path}: not a safetensors file: {error}", "download the model again") from None
    return {name: tensor.float() if tensor.is_floating_point() else tensor for name, tensor in out.items()}


def text_modality(folder: Path, config: dict[str, Any], room: int, fit: Fit) -> tuple[Text, str]:
    """The folder's tokenizer, for an encoder of ``room`` positions; and what was assumed, to be said."""
    path = folder / "tokenizer.json"
    if not path.is_file():
        raise TunewrightError(
            f"{folder}: it has no fast tokenizer (tokenizer.json)", "save one with AutoTokenizer(...).save_pretrained"
        )
    tokenizer = Tokenizer.from_file(str(path))
    sentence = read_json(folder / "sentence_bert_config.json")
    longest = min(room, int(sentence.get("max_seq_length") or 512))
    if fit.max_tokens > room:
        raise TunewrightError(
            f"fit.max_tokens = {fit.max_tokens}: the backbone has {room} positions", f"set at most {room}"
        )
    prefix, note = str(sentence.get("prefix", "")), ""
    if not prefix and "e5" in str(folder).lower().replace("_", "-").split("/")[-1].split("-"):
        prefix, note = "query: ", "prefix 'query: ' put before every text, as E5 models are trained"
    if fit.prefix is not None:
        prefix, note = fit.prefix, ""
    return Text(tokenizer, fit.max_tokens or longest, _pad_id(folder, config, tokenizer), prefix), note


def _pad_id(folder: Path, config: dict[str, Any], tokenizer: Tokenizer) -> int:
    named = [read_json(folder / name).get("pad_token") for name in ("tokenizer_config.json", "special_tokens_map.json")]
    for one in (*named, "[PAD]", "<pad>"):
        pad = tokenizer.token_to_id(one.get("content", "") if isinstance(one, dict) else one) if one else None
        if pad is not None:
            return pad
    if config.get("pad_token_id") is None:
        raise TunewrightError(
            f"{folder}: its tokenizer has no padding token",
            "name one of its tokens as pad_token in tokenizer_config.json, or choose another backbone",
        )
    return int(config["pad_token_id"])


def pooling(folder: Path) -> tuple[str, str]:
    """How a sentence encoder's folder says that states are pooled; and what is to be said of it."""
    config = read_json(folder / "1_Pooling" / "config.json")
    flags = [key.removeprefix("pooling_mode_") for key, on in config.items() if on is True and "pooling_mode_" in key]
    found = "+".join(flag.removesuffix("_tokens").removesuffix("_token") for flag in flags)
    named = found or config.get("pooling_mode") or read_json(folder / "sentence_bert_config.json").get("pooling")
    if named in ("mean", "cls", "max"):
        return str(named), f"pooling {named}, as the model's folder says"
    if named:
        raise TunewrightError(f"{folder}: pooling {named!r} is not known", "use one with mean, cls or max")
    return "mean", "pooling mean: the model's folder names none"


def layer_names(pattern: str, names: Names) -> Names:
    """The names with ``pattern`` put before those of a layer."""
    inside = ("query", "key", "value", "out", "attention_norm", "up", "down", "layer_norm")
    return replace(names, **{one: pattern + getattr(names, one) for one in inside})
