"""A real bundle without a pretrained network, made in a moment and without torch: one vector per word, naive Bayes.

The encoder looks every word up in a table, the head is a linear map on the mean of the vectors. Vectors and map are the
two sides of a singular value decomposition of the words' log-odds per label, so that the bundle answers as well as
naive Bayes does. For tests, and for benchmarks in which the encoder's own time should not count.

``python static_bundle.py`` writes the bundle of the current format that is committed beside it, once for each format:
what is committed there is never made again.
"""

from __future__ import annotations

import csv
import hashlib
import json
import shutil
import struct
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from onnx.external_data_helper import set_external_data
from safetensors.numpy import load_file, save
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

from tunewright import samples
from tunewright.core.bundle import FORMAT, Manifest, Part, read_manifest, write_manifest
from tunewright.core.sections import Target
from tunewright.core.task import Task
from tunewright.core.types import Array, Ragged, Windows
from tunewright.kinds._scaling import fit_scaling
from tunewright.kinds.classify import Classify
from tunewright.modalities.text import Text
from tunewright.runtime.predictor import load
from tunewright.runtime.scope import strangeness
from tunewright.runtime.updates import SUFFIX, write
from tunewright.train.detector import Seen, kept
from tunewright.train.reference import reference

SPECIALS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]")
OPSET, IR_VERSION = 20, 10

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Learnt:
    """table (v, d): a vector per word; weight (d, k) and bias (k,): the map from a mean vector to logits."""

    table: Floats
    weight: Floats
    bias: Floats


def static_bundle(
    folder: Path,
    texts: Sequence[str],
    labels: Sequence[str],
    width: int = 32,
    *,
    columns: Sequence[str] = ("text",),
    max_tokens: int = 64,
    words: int = 20_000,
    updated: bool = False,
) -> Manifest:
    """Write a bundle that predicts ``labels`` from ``texts`` into ``folder``; returns its manifest.

    Parameters
    ----------
    width : d, length of a word's vector; with at least as many as there are labels nothing is lost
    columns : names of the input columns; ``texts`` hold them joined by line breaks
    max_tokens : longest window
    words : size of the vocabulary, the most frequent ones
    updated : let the encoder be in two parts: the vectors are turned in the lower one, and turned back in the upper
        one, whose matrix is wrong but for updates that stand beside it
    """
    text = Text(_tokenizer(texts, words), max_tokens)
    kind: Any = Classify.learn(labels, {})
    windows, truth = text.windows([list(texts)]), kind.encode(labels)
    vocabulary = text.tokenizer.get_vocab_size()
    held_out = np.arange(len(truth)) % 5 == 4
    judge = _learn(windows, truth, ~held_out, kind.size, vocabulary, width)
    logits = kind.gather(list(_mean_vectors(windows, judge) @ judge.weight + judge.bias), windows)[held_out]
    kind = kind.calibrate(logits, truth[held_out])
    learnt = _learn(windows, truth, np.ones(len(truth), bool), kind.size, vocabulary, width)
    told = reference(windows.cost, logits, _mean_vectors(windows, learnt), kind)
    target = Target(column="label", name="label")
    modality = text.save(folder / "modality" / "text")
    manifest = Manifest(
        name=folder.name,
        inputs=dict.fromkeys(columns, "text"),
        modalities={"text": modality},
        targets=[{"name": target.name, "kind": target.kind, "labels": list(kind.labels), "spec": kind.spec()}],
        parts=_parts(folder, learnt, updated=updated),
        backbone={"name": "static", "family": "static", "pooling": "mean", "width": width, "config": {}},
        method={"name": "naive_bayes"},
        task=Task(inputs=dict.fromkeys(columns, "text"), targets=(target,)).model_dump(mode="json"),
        data={"train_rows": len(texts), "validation_rows": 0, "test_rows": 0},
        metrics={},
        run={"seconds": 0.0, "peak_rss_bytes": 0, "seed": 0},
    )
    (folder / "reference.json").write_text(json.dumps(told) + "\n", encoding="utf-8")
    return write_manifest(folder, manifest)


def _tokenizer(texts: Sequence[str], words: int) -> Tokenizer:
    """Lower-case words and signs, Chinese characters one by one; what is seen once or is too rare is unknown."""
    normalizer, cutter = normalizers.BertNormalizer(), pre_tokenizers.BertPreTokenizer()
    counts = Counter(
        word for text in texts for word, _ in cutter.pre_tokenize_str(normalizer.normalize_str(text)) if word
    )
    kept = sorted((-count, word) for word, count in counts.items() if count > 1)[: words - len(SPECIALS)]
    vocabulary = [*SPECIALS, *(word for _, word in kept if word not in SPECIALS)]
    tokenizer = Tokenizer(models.WordLevel({word: at for at, word in enumerate(vocabulary)}, unk_token="[UNK]"))
    tokenizer.normalizer, tokenizer.pre_tokenizer = normalizer, cutter
    tokenizer.add_special_tokens(list(SPECIALS))
    around = [(name, tokenizer.token_to_id(name)) for name in ("[CLS]", "[SEP]")]
    tokenizer.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=around)
    return tokenizer


def _learn(
    windows: Windows, truth: NDArray[np.int64], use: NDArray[np.bool_], size: int, vocabulary: int, width: int
) -> Learnt:
    """Smoothed log-odds of every word per label in the rows to use, cut in two by a singular value decomposition."""
    ids = _ids(windows)
    row = np.repeat(windows.owner, ids.lengths)
    counts = np.ones((vocabulary, size))
    np.add.at(counts, (ids.values[use[row]], truth[row[use[row]]]), 1)
    odds = np.log(counts / counts.sum(0))
    odds -= odds.mean(1, keepdims=True)
    odds[: len(SPECIALS)] = 0
    left, strength, right = np.linalg.svd(odds, full_matrices=False)
    kept = min(width, len(strength))
    table, weight = np.zeros((vocabulary, width), np.float32), np.zeros((width, size), np.float32)
    table[:, :kept] = left[:, :kept] * np.sqrt(strength[:kept])
    table[: len(SPECIALS)] = 0
    weight[:kept] = np.sqrt(strength[:kept])[:, None] * right[:kept]
    # A sum over words became a mean, so the typical number of words comes back as a factor.
    weight *= max(ids.lengths.mean() - 2, 1)
    prior = np.bincount(truth[use], minlength=size) + 1.0
    return Learnt(table, weight, np.log(prior / prior.sum()).astype(np.float32))


def _mean_vectors(windows: Windows, learnt: Learnt) -> Floats:
    """float32 (m, d)"""
    ids = _ids(windows)
    out = np.zeros((len(ids), learnt.table.shape[1]), np.float32)
    np.add.at(out, np.repeat(np.arange(len(ids)), ids.lengths), learnt.table[ids.values])
    out /= ids.lengths[:, None]
    return out


def _ids(windows: Windows) -> Ragged:
    ids = windows.data["input_ids"]
    assert isinstance(ids, Ragged)
    return ids


def _parts(folder: Path, learnt: Learnt, *, updated: bool) -> dict[str, Part]:
    tokens, states = ["rows", "tokens"], ["rows", "tokens", "width"]
    into_encoder = {"input_ids": (TensorProto.INT64, tokens), "attention_mask": (TensorProto.INT64, tokens)}
    into_head = {"states": (TensorProto.FLOAT, states), "mask": (TensorProto.FLOAT, tokens)}
    out = (TensorProto.FLOAT, ["rows", "out"])
    look_up = [
        helper.make_node("Gather", ["words", "input_ids"], ["states"]),
        helper.make_node("Cast", ["attention_mask"], ["mask"], to=TensorProto.FLOAT),
    ]
    linear = [helper.make_node("Gemm", ["mean", "weight", "bias"], ["logits"])]
    unit = [
        helper.make_node("ReduceL2", ["mean", "last"], ["length"], keepdims=1),
        helper.make_node("Max", ["length", "tiny"], ["safe"]),
        helper.make_node("Div", ["mean", "safe"], ["logits"]),
    ]
    constants = {"steps": np.array([1]), "last": np.array([-1]), "one": np.float32(1), "tiny": np.float32(1e-12)}
    shared = {name: np.asarray(value) for name, value in constants.items()}
    of_head = {name: shared[name] for name in ("steps", "last", "one")}
    table, above = learnt.table, {}
    if updated:
        turn = np.linalg.qr(np.random.default_rng(0).standard_normal((table.shape[1],) * 2))[0].astype(np.float32)
        table, above["upper.text"] = table @ turn.T, _updated(folder, turn, into_head["states"])
    return above | {
        "encoder.text": _part(folder, "encoder.text", look_up, into_encoder, into_head, {"words": table}),
        "head.label": _part(
            folder,
            "head.label",
            _mean() + linear,
            into_head,
            {"logits": out},
            {"weight": learnt.weight, "bias": learnt.bias},
            of_head,
        ),
        "embed": _part(folder, "embed", _mean() + unit, into_head, {"logits": out}, {}, shared),
    }


def _updated(folder: Path, turn: Floats, states: Any) -> Part:
    """A graph that gives lower @ turn, if it is given an update of rank 2; of rank 0 where nothing is given."""
    draw, width = np.random.default_rng(1), len(turn)
    given = {"turn.right": draw.standard_normal((2, width)), "turn.left": draw.standard_normal((width, 2))}
    given = {name: value.astype(np.float32) for name, value in given.items()}
    inputs = {"lower": states, "turn.right": (TensorProto.FLOAT, ["ranks", width])}
    inputs |= {"turn.left": (TensorProto.FLOAT, [width, "rank"])}
    nodes = [
        helper.make_node("MatMul", ["lower", "turn"], ["unchanged"]),
        helper.make_node("Transpose", ["turn.right"], ["right"]),
        helper.make_node("Transpose", ["turn.left"], ["left"]),
        helper.make_node("MatMul", ["lower", "right"], ["inner"]),
        helper.make_node("MatMul", ["inner", "left"], ["update"]),
        helper.make_node("Add", ["unchanged", "update"], ["states"]),
    ]
    own = {"turn": turn - (given["turn.left"] @ given["turn.right"]).T}
    empty = {"turn.right": np.zeros((0, width), np.float32), "turn.left": np.zeros((width, 0), np.float32)}
    part = _part(folder, "upper.text", nodes, inputs, {"states": states}, own, empty)
    unnamed = folder / "weights" / "unnamed"
    write(given, unnamed)
    final = f"weights/upper.text-{hashlib.sha256(unnamed.read_bytes()).hexdigest()[:12]}{SUFFIX}"
    unnamed.rename(folder / final)
    return replace(part, updates=final)


def _mean() -> list[Any]:
    """states (b, t, d), mask (b, t) → mean (b, d) over the real tokens."""
    return [
        helper.make_node("Unsqueeze", ["mask", "last"], ["weights"]),
        helper.make_node("Mul", ["states", "weights"], ["real"]),
        helper.make_node("ReduceSum", ["real", "steps"], ["sum"], keepdims=0),
        helper.make_node("ReduceSum", ["weights", "steps"], ["count"], keepdims=0),
        helper.make_node("Max", ["count", "one"], ["divisor"]),
        helper.make_node("Div", ["sum", "divisor"], ["mean"]),
    ]


def _part(
    folder: Path,
    name: str,
    nodes: Sequence[Any],
    inputs: dict[str, Any],
    outputs: dict[str, Any],
    weights: dict[str, Array],
    constants: dict[str, Array] | None = None,
) -> Part:
    """One graph; its weights lie in a safetensors file that it reads, each file named by its content."""
    stored = {key: numpy_helper.from_array(np.ascontiguousarray(value), key) for key, value in weights.items()}
    data = _stored(folder, name, weights, stored) if weights else ""
    initial = [*stored.values(), *(numpy_helper.from_array(value, key) for key, value in (constants or {}).items())]
    told = [[helper.make_tensor_value_info(key, *of) for key, of in side.items()] for side in (inputs, outputs)]
    graph = helper.make_graph(list(nodes), name, told[0], told[1], initial)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
    content = model.SerializeToString(deterministic=True)
    path = f"{name}-{hashlib.sha256(content).hexdigest()[:12]}.onnx"
    (folder / path).write_bytes(content)
    onnx.checker.check_model(str(folder / path), full_check=True)
    return Part("onnx", path, (data,) if data else ())


def _stored(folder: Path, name: str, weights: dict[str, Array], tensors: dict[str, Any]) -> str:
    content = save({key: np.ascontiguousarray(value) for key, value in weights.items()})
    path = f"weights/{name}-{hashlib.sha256(content).hexdigest()[:12]}.safetensors"
    (folder / "weights").mkdir(parents=True, exist_ok=True)
    (folder / path).write_bytes(content)
    (length,) = struct.unpack("<Q", content[:8])
    for key, entry in json.loads(content[8 : 8 + length]).items():
        begin, end = entry["data_offsets"]
        set_external_data(tensors[key], path, offset=8 + length + begin, length=end - begin)
        tensors[key].ClearField("raw_data")
    return path


def sibling(folder: Path, out: Path, seed: int) -> Path:
    """A bundle on the same encoder as another one, with the tensors of its head drawn anew; named by its folder."""
    shutil.copytree(folder, out)
    manifest = read_manifest(out)
    data = out / manifest.parts["head.label"].data[0]
    draw = np.random.default_rng(seed)
    tensors = {name: draw.standard_normal(value.shape, np.float32) for name, value in load_file(data).items()}
    data.write_bytes(save(tensors))
    write_manifest(out, replace(manifest, name=out.name))
    return out


def commit_bundle(folder: Path) -> None:
    """Write ``format-N``, learnt from the sample rows, and ``format-N.json``: what it must answer for ever."""
    rows = [row for name in ("support_train.csv", "support_zh_train.csv") for row in _rows(name)]
    asked = [row["text"] for name in ("support_test.csv", "support_zh_test.csv") for row in _rows(name)[::8]]
    bundle = folder / f"format-{FORMAT}"
    if bundle.exists():
        raise FileExistsError(f"{bundle}: what is committed is never made again")
    texts, labels = ([row[name] for row in rows] for name in ("text", "intent"))
    static_bundle(bundle, texts, labels, 8, max_tokens=16, updated=True)
    manifest = _unsure(bundle, [row for name in ("support_test.csv", "support_zh_test.csv") for row in _rows(name)])
    answers = load(bundle).predict([*asked, "", " ".join(asked)], top=2)
    told = {"digest": manifest.digest, "inputs": [*asked, "", " ".join(asked)], "answers": list(map(asdict, answers))}
    text = json.dumps(told, ensure_ascii=False, indent=1)
    (folder / f"format-{FORMAT}.json").write_text(text + "\n", encoding="utf-8")


def _unsure(bundle: Path, rows: Sequence[dict[str, str]]) -> Manifest:
    """The bundle with a promise, a scaling and a detector of strange rows, all from these rows."""
    predictor, texts, labels = load(bundle), [row["text"] for row in rows], [row["intent"] for row in rows]
    kind = predictor.kind
    assert isinstance(kind, Classify)
    logits, vectors, truth = predictor.logits(texts)["label"], predictor.embed(texts), kind.encode(labels)
    factors, biases = (tuple(one.round(6).tolist()) for one in fit_scaling(logits / kind.temperature, truth, 100.0))
    kind = replace(kind, factors=factors, biases=biases)
    kind = kind.promised(logits, truth, 0.2)
    arrays = kept("combined", Seen(vectors, truth), kind, logits, vectors, 0)
    np.savez(bundle / "scope.label.npz", **arrays)  # type: ignore[arg-type]
    threshold = float(np.quantile(strangeness("combined", kind, logits, vectors, arrays), 0.9))
    scope = {"detector": "combined", "threshold": threshold, "share": 0.05, "file": "scope.label.npz"}
    target = predictor.manifest.targets[0] | {"spec": replace(kind, scope=scope).spec()}
    return write_manifest(bundle, replace(predictor.manifest, targets=[target]))


def _rows(name: str) -> list[dict[str, str]]:
    with samples.path(name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


if __name__ == "__main__":
    commit_bundle(Path(__file__).parent / "bundles")
