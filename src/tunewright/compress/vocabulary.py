"""Fewer words: tokens that do not occur in your texts leave the tokenizer and the word table of the encoder.

A multilingual encoder is mostly a word table (E5 small: 96 of 118 M parameters), of which one language uses a small
part. What stays: the tokens of the texts given, special tokens, what new texts of these scripts are spelled with, and,
as the setting says, all tokens of some scripts. Texts given before are cut into the very same tokens (checked); new
words are cut into smaller pieces, and how many new texts that concerns is said.

Works for Unigram and WordPiece tokenizers, whose choice among the tokens that stay does not depend on those that go.

Source: Abdaoui, Pradel and Sigel 2020 (SustaiNLP), Load What You Need: Smaller Versions of Multilingual BERT.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper

from tunewright.compress._copy import Copy
from tunewright.compress._graph import added, is_lookup, readers, removed
from tunewright.compress._scripts import MAIN, NONE, RARE, kept
from tunewright.core.errors import TunewrightError
from tunewright.core.types import Array, Ragged, Windows
from tunewright.modalities.text import Text

READS_TEXTS = True
WHOLE = {
    "tokens seen, and letters": NONE,
    "all tokens of the main scripts": MAIN,
    "all tokens of the scripts seen": RARE,
}
"""Setting → the share of the letters from which on all tokens of a script stay."""
SETTINGS = tuple(WHOLE)
LEFT_OUT = 5
"""Each how manieth text is left out to see what happens to new ones."""


def run(copy: Copy, setting: str) -> None:
    """Change the tokenizer's file, the settings of the modality, and the tables that the encoder looks words up in.

    Raises
    ------
    TunewrightError
        The bundle reads no tokens, its tokenizer is of another kind, or its encoder computes with their numbers.
    """
    read = ", ".join(copy.manifest.modalities)
    if read not in ("text", "text_ngrams"):
        raise TunewrightError(f"vocabulary is for bundles that read tokens, and this one reads {read}", "leave it out")
    folder = copy.folder / "modality" / read
    whole = copy.manifest.modalities[read]
    settings = whole if read == "text" else whole["text"]
    before = Text.load(settings, folder)
    record = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    pieces = _pieces(record)
    around = {*before.head, *before.tail, settings["pad_id"]}

    def staying(tokens: Array) -> set[int]:
        own = tokens[~np.isin(tokens, list(around))]  # a prefix before every text tells nothing of its script
        return kept(record, pieces, Counter(own.tolist()), WHOLE[setting]) | around

    texts = before.windows(copy.columns)
    stay = staying(_ids(texts))
    ids = np.array(sorted(stay), np.int64)
    new = {old: at for at, old in enumerate(ids.tolist())}
    (folder / "tokenizer.json").write_text(json.dumps(renumbered(record, pieces, new), ensure_ascii=False), "utf-8")
    settings = settings | {"pad_id": new[settings["pad_id"]]}
    after = Text.load(settings, folder)
    _same_tokens(before, after, new, copy.columns)
    _cut_tables(copy, ids)
    config = copy.manifest.backbone.get("config") or {}
    told = {"config": config | {"vocab_size": len(ids)}} if "vocab_size" in config else {}
    whole = settings if read == "text" else whole | {"text": settings}
    copy.manifest = replace(copy.manifest, modalities={read: whole}, backbone=copy.manifest.backbone | told)
    copy.notes += [f"{len(ids):,} of {len(pieces):,} tokens stay", *_of_new_texts(texts, staying)]


def _pieces(record: dict[str, Any]) -> dict[int, str]:
    """Id → token, added ones too."""
    model = record["model"]
    if model["type"] == "Unigram":
        own = {at: piece for at, (piece, _) in enumerate(model["vocab"])}
    elif model["type"] == "WordPiece":
        own = {at: piece for piece, at in model["vocab"].items()}
    else:
        raise TunewrightError(
            f"vocabulary is for Unigram and WordPiece tokenizers, and this one is {model['type']}", "leave it out"
        )
    return own | {one["id"]: one["content"] for one in record["added_tokens"]}


def _tokens(texts: Windows) -> Ragged:
    tokens = texts.data["input_ids"]
    assert isinstance(tokens, Ragged)
    return tokens


def _ids(texts: Windows) -> Array:
    return _tokens(texts).values


def _of_new_texts(texts: Windows, staying: Callable[[Array], set[int]]) -> list[str]:
    """How many texts hold a token that would go if they had not been read: a fifth of them, by what the others keep.

    Rows that judge the answers are too few to show what that costs.
    """
    tokens = _tokens(texts)
    row = np.repeat(texts.owner, tokens.lengths)
    left_out, count = row % LEFT_OUT == 0, -(-texts.rows // LEFT_OUT)
    if texts.rows < LEFT_OUT:
        return []
    known = np.isin(tokens.values, list(staying(tokens.values[~left_out])))
    strange = len(np.unique(row[left_out & ~known]))
    return [f"of {count:,} texts left out, {strange / count:.1%} hold a token that the others would not have kept"]


def renumbered(record: dict[str, Any], pieces: dict[int, str], new: dict[int, int]) -> dict[str, Any]:
    """The tokenizer's file with the tokens of ``new`` alone (old id → new id, in the same order)."""
    model = dict(record["model"])
    if model["type"] == "Unigram":
        model["vocab"] = [one for at, one in enumerate(model["vocab"]) if at in new]
        model["unk_id"] = new[model["unk_id"]] if model.get("unk_id") is not None else None
    else:
        model["vocab"] = {piece: new[at] for piece, at in model["vocab"].items() if at in new}
    added_tokens = [one | {"id": new[one["id"]]} for one in record["added_tokens"]]
    processor = _processor(record["post_processor"], new)
    return record | {"model": model, "added_tokens": added_tokens, "post_processor": processor}


def _processor(told: Any, new: dict[int, int]) -> Any:
    """What puts special tokens around a text, by their new ids."""
    if not told:
        return told
    if told["type"] == "Sequence":
        return told | {"processors": [_processor(one, new) for one in told["processors"]]}
    if told["type"] == "TemplateProcessing":
        named = {name: one | {"ids": [new[at] for at in one["ids"]]} for name, one in told["special_tokens"].items()}
        return told | {"special_tokens": named}
    return told | {key: [told[key][0], new[told[key][1]]] for key in ("sep", "cls") if key in told}


def _same_tokens(before: Text, after: Text, new: dict[int, int], columns: Sequence[Sequence[Any]]) -> None:
    expected = [new[at] for at in _ids(before.windows(columns)).tolist()]
    if _ids(after.windows(columns)).tolist() != expected:
        raise TunewrightError(
            "the smaller tokenizer cuts a text otherwise than the whole one", "leave vocabulary out, and report it"
        )


def _cut_tables(copy: Copy, ids: Array) -> None:
    """Keep the rows ``ids`` of every table that is looked up by the ids of tokens: words, and maybe their scales."""
    part = copy.manifest.encoder[0]
    model = copy.graph(part)
    graph, tables = model.graph, {one.name: one for one in model.graph.initializer}
    own = readers(graph, "input_ids")
    lookups = [node for node in own if is_lookup(node, node.input[0]) and node.input[0] in tables]
    other = sorted({node.op_type for node in own if node not in lookups and node.op_type != "Shape"})
    if other or not lookups:
        named = ", ".join(other) or "no table of words"
        raise TunewrightError(f"the encoder uses the numbers of tokens otherwise ({named})", "leave vocabulary out")
    for name in dict.fromkeys(node.input[0] for node in lookups):
        rows = numpy_helper.to_array(tables[name])[ids]
        removed(graph, name)
        added(graph, name, rows)
    del graph.value_info[:]  # shapes of the larger tables; ONNX Runtime works them out again
    whole = all(one.data_type != onnx.TensorProto.INT8 for one in graph.initializer)
    copy.put(part, model, unread=whole)
