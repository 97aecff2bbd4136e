"""Pretraining on texts without labels: from a backbone and windows of texts to a backbone folder."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import polars as pl
from safetensors.torch import save_file
from torch import Tensor, nn

from tunewright.backbones._catalogue import Found
from tunewright.backbones._encoder import Encoder
from tunewright.backbones._loaded import LoadedBackbone, read_json
from tunewright.backbones._vocabulary import widened
from tunewright.core import plugins
from tunewright.core.errors import TunewrightError
from tunewright.core.run import Run
from tunewright.core.task import Task
from tunewright.modalities.text import Text
from tunewright.train import device
from tunewright.train.course import Course
from tunewright.train.loop import descend
from tunewright.train.pretraining import _contrast, _masked
from tunewright.train.pretraining._corpus import Pretraining, windows_of
from tunewright.train.step import Piece, Step

Objective = Callable[[Pretraining], tuple[Course, Any, dict[str, Any]]]
"""what it starts from → (its training, the model with an ``encoder``, what is to be told)"""

OBJECTIVES: Mapping[str, Objective] = {
    "masked": _masked.course,
    "simcse": _contrast.simcse,
    "pairs": _contrast.pairs,
}
COPIED = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.txt", "LICENSE", "NOTICE")
"""What goes from the backbone's folder into the new one as it is, where it is there."""


@dataclass(frozen=True)
class Pretrained:
    """What came out.

    encoder : with the whole word table; facts : what is to be told
    """

    encoder: Encoder
    facts: dict[str, Any]


def pretrain(
    backbone: LoadedBackbone,
    found: Found,
    train: Sequence[pl.Series],
    held_out: Sequence[pl.Series],
    objective: str,
    task: Task,
    run: Run,
) -> Pretrained:
    """Train the backbone on texts (one column) or pairs of texts (two), judged on those held out.

    Raises
    ------
    TunewrightError
        The backbone is no text encoder that can be laid out as a folder again, or it does not fit the objective; no
        text has a word in it.
    """
    modality = backbone.modality
    if not isinstance(backbone.encoder, Encoder) or not isinstance(modality, Text):
        raise TunewrightError(
            f"backbone {found.name!r} (family {backbone.family}) is no text encoder that can be pretrained",
            "choose one of the families bert, roberta, distilbert",
        )
    where, bf16 = device.choose(task.fit)
    with device.threads(task.fit.threads):
        learnt, judged = windows_of(train, modality, run), windows_of(held_out, modality, run)
        if not len(learnt) or not len(judged):
            part = "held-out" if len(learnt) else "training"
            raise TunewrightError(f"none of the {part} texts has a word in it", "give more texts, or other ones")
        _say_windows(run, [len(train[0]), len(held_out[0])], [len(learnt), len(judged)], modality)
        given = Pretraining(backbone, found, modality, learnt, judged, task, run, where, bf16)
        course, model, told = OBJECTIVES[objective](given)
        best, facts = descend(_heard(course), model)
    encoder = widened(model.encoder, given.whole).to("cpu")
    scores = {"metric": course.metric, "before": facts["scores"][0], "after": best.score}
    return Pretrained(encoder, {"objective": objective, **told, **facts, **scores, "bf16": bf16})


def write_backbone(
    folder: Path, backbone: LoadedBackbone, found: Found, encoder: Encoder, told: Mapping[str, Any]
) -> None:
    """Lay an encoder out as the backbone's family has it, for this program and for transformers.

    told : what stands in ``tunewright.json``, with ``licence``
    """
    modality, family = backbone.modality, plugins.load("backbones", backbone.family)
    assert isinstance(modality, Text)
    (folder / "1_Pooling").mkdir(parents=True)
    for name in COPIED:
        if (found.folder / name).is_file():
            shutil.copyfile(found.folder / name, folder / name)
    tensors: dict[str, Tensor] = family.tensors(encoder.state_dict(), backbone.config)
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, folder / "model.safetensors")
    _write_json(folder / "config.json", backbone.config)
    _write_json(folder / "1_Pooling" / "config.json", _pooling(backbone))
    sentence = read_json(found.folder / "sentence_bert_config.json")
    if sentence or modality.prefix:
        _write_json(folder / "sentence_bert_config.json", sentence | {"prefix": modality.prefix})
    if not (folder / "tokenizer_config.json").is_file():
        _write_json(folder / "tokenizer_config.json", _tokenizer_config(modality))
    _write_json(folder / "tunewright.json", told)


def _say_windows(run: Run, texts: Sequence[int], windows: Sequence[int], modality: Text) -> None:
    said = f"{texts[0]:,} texts to learn from, {texts[1]:,} held out to judge on"
    more = sum(windows) - sum(texts)
    if more > 0:
        said += f"; texts longer than {modality.max_tokens} tokens are cut: {more:,} windows more"
    run.log("texts", train=texts[0], held_out=texts[1], windows=list(windows), say=said)


def _heard(course: Course) -> Course:
    """The course, telling the mean loss of training before each judgement."""
    total, weight = 0.0, 0.0

    def step(model: nn.Module, piece: Piece) -> Tensor:
        nonlocal total, weight
        loss = inner(model, piece)
        total, weight = total + float(loss), weight + float(piece.weights.sum())
        return loss

    def judge(model: nn.Module) -> tuple[float, Any]:
        nonlocal total, weight
        if weight:
            mean = total / weight
            course.run.log("loss", loss=round(mean, 6), say=f"{course.name}: mean training loss {mean:.4f}")
        total, weight = 0.0, 0.0
        return course.judge(model)

    inner: Step = course.step
    return replace(course, step=step, judge=judge)


def _pooling(backbone: LoadedBackbone) -> dict[str, Any]:
    modes = {"cls": "cls_token", "mean": "mean_tokens", "max": "max_tokens"}
    flags = {f"pooling_mode_{mode}": name == backbone.pooling for name, mode in modes.items()}
    return {"word_embedding_dimension": backbone.width} | flags


def _tokenizer_config(modality: Text) -> dict[str, Any]:
    """What transformers needs to know beside ``tokenizer.json``."""
    known = modality.tokenizer.get_vocab()
    mask = next((one for one in ("[MASK]", "<mask>") if one in known), None)
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "pad_token": modality.tokenizer.id_to_token(modality.pad_id),
        **({"mask_token": mask} if mask else {}),
        "model_max_length": modality.max_tokens,
        "model_input_names": ["input_ids", "attention_mask"],
    }


def _write_json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
