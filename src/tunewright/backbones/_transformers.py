"""An encoder that is a module of transformers, read from its folder and looked at."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
import transformers
from torch import nn
from transformers.utils import logging

from tunewright.backbones._loaded import LoadedBackbone, pooling, read_json, tensor_files, text_modality
from tunewright.backbones._module import ModuleEncoder
from tunewright.core.errors import TunewrightError
from tunewright.core.sections import Fit

REMEDY = "choose an encoder, such as one of BERT, RoBERTa, ELECTRA, MPNet, DeBERTa or ModernBERT"
NO_LIMIT = 2**16
"""Positions of an encoder that names no limit."""


def load(folder: Path, fit: Fit) -> LoadedBackbone:
    """The encoder in a Hugging Face folder.

    Raises
    ------
    TunewrightError
        It is no encoder of tokens, it has no padding token, or weights are missing.
    """
    config = read_json(folder / "config.json")
    with _silent():
        model = _opened(folder, config)
        width = _looked_at(folder, model)
    modality, prefix_note = text_modality(folder, config, _room(model, config), fit)
    how, pooling_note = pooling(folder)
    own = f"model type {config['model_type']!r}: the module of transformers is trained, on batches of like length"
    notes = tuple(note for note in (own, pooling_note, prefix_note) if note)
    return LoadedBackbone("automodel", "text", modality, ModuleEncoder(model, width), width, how, config, notes)


def _opened(folder: Path, config: dict[str, Any]) -> nn.Module:
    kind = config["model_type"]
    try:
        settings = transformers.AutoConfig.from_pretrained(folder, trust_remote_code=False)
        made: Any = transformers.AutoModel._model_mapping[type(settings)]
    except (ValueError, KeyError):
        known = f"nor known to transformers {transformers.__version__}"
        raise TunewrightError(f"{folder}: model type {kind!r} is of no known family, {known}", REMEDY) from None
    if getattr(settings, "is_encoder_decoder", False):
        raise _no_encoder(folder, kind, "it reads a text to write another one (encoder and decoder)")
    tensor_files(folder)
    made = made[0] if isinstance(made, (tuple, list)) else made
    try:
        # "eager": attention as plain products, which every graph exports, and the fastest on short texts
        model, told = made.from_pretrained(
            folder,
            config=settings,
            dtype=torch.float32,
            attn_implementation="eager",
            use_safetensors=True,
            local_files_only=True,
            output_loading_info=True,
            **_options(made),
        )
    except (ValueError, RuntimeError, OSError, KeyError) as error:
        raise _wrong_weights(folder, kind, str(error)) from None
    if told["missing_keys"]:
        raise _wrong_weights(folder, kind, f"{min(told['missing_keys'])} is missing")
    if told.get("mismatched_keys"):
        raise _wrong_weights(folder, kind, f"{min(map(str, told['mismatched_keys']))} has another shape")
    network: nn.Module = model
    return network


def empty(config: Mapping[str, Any]) -> ModuleEncoder:
    """The encoder that a ``config.json`` describes, with tensors still to be put in."""
    settings = transformers.CONFIG_MAPPING[config["model_type"]].from_dict(dict(config))
    made: Any = transformers.AutoModel._model_mapping[type(settings)]
    made = made[0] if isinstance(made, (tuple, list)) else made
    model = made._from_config(settings, attn_implementation="eager", dtype=torch.float32, **_options(made))
    return ModuleEncoder(model, int(settings.hidden_size))


def _options(made: Any) -> dict[str, Any]:
    """A pooler would be parameters that nothing is asked of."""
    return {"add_pooling_layer": False} if "add_pooling_layer" in inspect.signature(made.__init__).parameters else {}


@torch.no_grad()
def _looked_at(folder: Path, model: Any) -> int:
    """The width of its states; an error where it is no encoder: where no token's state depends on those after it."""
    kind = model.config.model_type
    try:
        first = model.config.vocab_size // 2
        ids = torch.stack([torch.arange(first, first + 4), torch.tensor([first, first + 1, first + 2, first + 4])])
        states = model.eval()(input_ids=ids, attention_mask=torch.ones_like(ids)).last_hidden_state
    except Exception as error:  # whatever a module that was made for something else may raise
        said = f"it does not run on tokens alone: {type(error).__name__}: {error}".splitlines()[0]
        raise _no_encoder(folder, kind, said) from None
    if torch.equal(states[0, :3], states[1, :3]):
        raise _no_encoder(folder, kind, "the state of a token does not depend on those after it (a decoder)")
    return int(states.shape[-1])


def _room(model: Any, config: dict[str, Any]) -> int:
    """The longest window that it has positions for."""
    for name, table in model.named_modules():
        if name.rpartition(".")[2] == "position_embeddings" and isinstance(table, nn.Embedding):
            # Positions that have a padding id are counted from the one behind it.
            return table.num_embeddings - (0 if table.padding_idx is None else table.padding_idx + 1)
    return int(config.get("max_position_embeddings") or NO_LIMIT)


def _no_encoder(folder: Path, kind: str, why: str) -> TunewrightError:
    return TunewrightError(f"{folder}: model type {kind!r} is no encoder: {why}", REMEDY)


def _wrong_weights(folder: Path, kind: str, why: str) -> TunewrightError:
    return TunewrightError(
        f"{folder}: the weights do not fit a {kind} encoder: {why.strip().splitlines()[0]}",
        "check that config.json and the weights belong together",
    )


@contextmanager
def _silent() -> Iterator[None]:
    """The library tells of what it reads; what matters of it is told here."""
    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()  # type: ignore[no-untyped-call]
