"""Fewer words: tokens that do not occur in your texts leave the tokenizer and the word table of the encoder.

A multilingual encoder is mostly a word table (E5 small: 96 of 118 M parameters), of which one language uses a small
part. What stays: the tokens of the texts given, special tokens, and what new texts of these scripts are spelled with.
Texts given before are cut into the very same tokens (checked); new words are cut into smaller pieces.

Works for Unigram and WordPiece tokenizers, whose choice among the tokens that stay does not depend on those that go.

Source: Abdaoui, Pradel and Sigel 2020 (SustaiNLP), Load What You Need: Smaller Versions of Multilingual BERT.
"""

from __future__ import annotations

import json
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper

from tunewright.compress._copy import Copy
from tunewright.compress._graph import added, is_lookup, readers, removed
from tunewright.core.errors import TunewrightError
from tunewright.core.types import Array, Ragged
from tunewright.modalities.text import Text

SETTINGS = ("tokens seen, and letters", "all tokens of the scripts seen")
READS_TEXTS = True
RARE = 0.001
"""A script that has a smaller share of the letters than this does not stay because of them."""
MARKS = ("▁", "##")
"""What a piece begins with to tell its place in a word."""


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
    seen = Counter(_ids(before, copy.columns).tolist())
    stay = kept(record, pieces, seen, whole_scripts=setting == SETTINGS[1])
    stay |= {*before.head, *before.tail, settings["pad_id"]}
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
    copy.notes.append(f"{len(ids):,} of {len(pieces):,} tokens stay")


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


def _ids(modality: Text, columns: Sequence[Sequence[Any]]) -> Array:
    tokens = modality.windows(columns).data["input_ids"]
    assert isinstance(tokens, Ragged)
    return tokens.values


def kept(record: dict[str, Any], pieces: dict[int, str], seen: Counter[int], *, whole_scripts: bool) -> set[int]:
    """Ids of the tokens that stay.

    Beside the tokens seen: added ones, the unknown one, bytes, single characters of the scripts seen and without a
    script, and of a Unigram model the least likely token, since unknown characters are rated after it.
    """
    model = record["model"]
    special = {one["id"] for one in record["added_tokens"]}
    stay = set(seen) | special
    if model["type"] == "Unigram":
        if model.get("unk_id") is not None:
            stay.add(model["unk_id"])
        stay.add(min(range(len(model["vocab"])), key=lambda at: model["vocab"][at][1]))
    else:
        stay |= {at for at, piece in pieces.items() if piece == model["unk_token"]}
    scripts = _scripts({pieces[at]: count for at, count in seen.items() if at not in special})
    for at, piece in pieces.items():
        bare = _bare(piece)
        if at not in stay and (len(bare) <= 1 or whole_scripts or _is_byte(piece)):
            own = {one for one in map(script, bare) if one}
            if own <= scripts or _is_byte(piece):
                stay.add(at)
    return stay


def _scripts(counts: dict[str, int]) -> set[str]:
    found: Counter[str] = Counter()
    for piece, count in counts.items():
        for letter in _bare(piece):
            found[script(letter)] += count
    del found[""]
    return {name for name, count in found.items() if count >= RARE * found.total()}


@cache
def script(letter: str) -> str:
    """The script of a letter, by the first word of its name in Unicode; empty for digits, signs and marks.

    >>> script("a"), script("调"), script("7")
    ('LATIN', 'CJK', '')
    """
    return unicodedata.name(letter, "?").partition(" ")[0] if unicodedata.category(letter).startswith("L") else ""


def _bare(piece: str) -> str:
    for mark in MARKS:
        piece = piece.removeprefix(mark) if piece != mark else piece
    return piece


def _is_byte(piece: str) -> bool:
    return len(piece) == 6 and piece.startswith("<0x") and piece.endswith(">")


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
    expected = [new[at] for at in _ids(before, columns).tolist()]
    if _ids(after, columns).tolist() != expected:
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
