"""Speed of `predict` on Banking77 test rows: bulk and one text at a time, in fp32 and int8, against four peers.

Compared, all with the same encoder weights (the bundle, and its encoder and head by `tunewright export --to hf`):
    tunewright   a loaded bundle's `predict`
    int8         the same bundle after `tunewright compress --to int8` (where --int8 names it)
    pipeline     `transformers.pipeline("feature-extraction")` at its defaults, then pooling, normalisation and head in
                 numpy
    tensors      the same with `return_tensors=True`, which saves it the nested lists
    sorted       AutoModel in torch: rows sorted by length, batches of 32, inference mode, the same head
    plain int8   AutoModel exported by torch, ONNX Runtime's dynamic quantisation at its defaults, rows sorted by length
                 under the token budget that `predict` has, the same head
    classifier   `transformers.pipeline("text-classification")` at its defaults: BertForSequenceClassification on the
                 same encoder with a head of as many labels. That head is not trained: its labels are not compared
How: each in a process of its own that has loaded and warmed up; a round runs them one after the other while the others
wait for their turn; ratios are taken round by round, their median counts. Loading is not in the time. In every round
the labels of the fp32 peers must be those of tunewright, row by row, or the benchmark fails; accuracy of all is told.
Of one text at a time, the requests of all rounds make p50 and p99. Targets, for the int8 form where it takes part: in
bulk pipeline ≥ 14, sorted ≥ 5, plain int8 ≥ 1 (and at most 0.3 points lost); one text p50 ≤ 1/8 and p99 ≤ 1/6 of the
pipeline's. The share of the peak is that of `tunewright speed`, on the first 1,000 rows.

    tunewright fit train.csv --test test.csv --text text --label category --out intents/
    tunewright compress intents/ test.csv --to int8 --out intents-int8/
    python benchmarks/predict_speed.py --bundle intents/ --int8 intents-int8/        expected: 8 minutes (2 threads)
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from _measure import (
    Worker,
    answer,
    data,
    digest,
    held,
    of_bundle,
    parser,
    python,
    records,
    report,
    short,
    show,
    spread,
    tunewright,
)

Answer = Callable[[list[str]], list[str]]
BATCH_ROWS, BUDGET = 32, 512
WARM_UP_ROWS = 128
SINGLE = 100
"""Requests of one text in each round."""
OURS = ("tunewright", "int8")
TARGETS = {"pipeline": "≥ 14", "sorted": "≥ 5", "plain int8": "≥ 1"}

PLAIN = """
import sys, torch
from onnxruntime.quantization import quantize_dynamic
from transformers import AutoModel
encoder = AutoModel.from_pretrained(sys.argv[1], attn_implementation="eager").eval()
class States(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = encoder
    def forward(self, input_ids, attention_mask):
        return self.encoder(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
ids, mask = (torch.ones((2, 8), dtype=torch.int64) for _ in range(2))  # one tensor for both would be one input
axes = {"input_ids": {0: "b", 1: "t"}, "attention_mask": {0: "b", 1: "t"}}
torch.onnx.export(States(), kwargs={"input_ids": ids, "attention_mask": mask}, f=f"{sys.argv[2]}/fp32.onnx",
                  dynamic_shapes=axes, dynamo=True, verbose=False)
quantize_dynamic(f"{sys.argv[2]}/fp32.onnx", f"{sys.argv[2]}/int8.onnx")
"""
CLASSIFIER = """
import json, sys
from transformers import AutoConfig, AutoModel, AutoTokenizer, BertForSequenceClassification
labels = len(json.load(open(f"{sys.argv[1]}/head.json"))["target"]["labels"])
model = BertForSequenceClassification(AutoConfig.from_pretrained(sys.argv[1], num_labels=labels))
model.bert.load_state_dict(AutoModel.from_pretrained(sys.argv[1]).state_dict(), strict=False)
model.save_pretrained(sys.argv[2])
AutoTokenizer.from_pretrained(sys.argv[1]).save_pretrained(sys.argv[2])
"""


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--bundle", type=Path, help="a bundle fitted on Banking77")
    options.add_argument("--int8", type=Path, help="the same bundle, compressed")
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--threads", type=int, default=2)
    options.add_argument("--every", type=int, default=1, help="each how manieth row is answered")
    options.add_argument("--peers", default=",".join(PEERS), help="those that take part, with commas")
    options.add_argument("--worker", nargs=3, metavar=("PEER", "FOLDER", "THREADS"), help=argparse.SUPPRESS)
    chosen = options.parse_args()
    if chosen.worker:
        peer, folder, threads = chosen.worker
        return answer(timed(PEERS[peer](Path(folder), int(threads))))
    if not chosen.bundle:
        options.error("--bundle is needed")
    rows = records(data("banking77/test.csv"))
    if chosen.quick:
        chosen.every, chosen.rounds = 100, 2
    rows = rows[:: chosen.every]
    texts = [record["text"] for record in rows]
    names = [one for one in PEERS if one in chosen.peers.split(",") and (one != "int8" or chosen.int8)]
    rounds = measure(chosen, names, texts)
    file = data("banking77/test.csv")
    note = (
        f"n = {len(rounds)} rounds of {len(texts):,} rows (test.csv {short(digest(file))}) and of "
        f"{min(SINGLE, len(texts))} single texts, threads {chosen.threads}; medians, smallest–largest; "
        f"{of_bundle(show(chosen.bundle))}"
    )
    right = {name: accuracy(rounds[0][name]["labels"], rows) for name in names}
    shares = {name: share(chosen, name) for name in names if name in OURS}
    ours = "int8" if "int8" in names else "tunewright"
    head = ("peer", "rows/s", "CPU-s", f"× the time of {ours}", "target", "× its CPU-s", "p50 ms", "p99 ms")
    head = (*head, "accuracy", "share of peak")
    lines = [row(name, ours, rounds, len(texts), right[name], shares.get(name)) for name in names]
    told = [{name: {k: v for k, v in one.items() if k != "labels"} for name, one in each.items()} for each in rounds]
    report(chosen, head, lines, note, {"rows": len(texts), "rounds": told, "accuracy": right, "share": shares})
    if "pipeline" in names:
        for q, limit in ((0.5, "≤ 0.125"), (0.99, "≤ 0.1667")):
            ratio = quantile(rounds, ours, q) / quantile(rounds, "pipeline", q)
            print(f"one text, p{q * 100:g}: 1/{1 / ratio:.1f} of the pipeline's ({held(ratio, limit)})")
    return None


def accuracy(labels: list[str], rows: Sequence[dict[str, str]]) -> float:
    return sum(label == row["category"] for label, row in zip(labels, rows, strict=True)) / len(rows)


def share(chosen: argparse.Namespace, name: str) -> float | None:
    """The part of the machine's measured products that bulk reaches."""
    bundle = chosen.int8 if name == "int8" else chosen.bundle
    told = tunewright("speed", bundle, data("banking77/test.csv"), "--threads", str(chosen.threads), "--json")
    found: float | None = json.loads(told.stdout)["share"]
    return found


def measure(chosen: argparse.Namespace, names: Sequence[str], texts: list[str]) -> list[dict[str, dict[str, Any]]]:
    """Rounds of peer → figures; every process is started, loaded and warmed up before the first round."""
    with tempfile.TemporaryDirectory() as name:
        folders = prepared(Path(name), chosen, names)
        start = {peer: (folders[peer], str(chosen.threads)) for peer in names}
        workers = {peer: Worker(__file__, peer, *start[peer], threads=chosen.threads) for peer in names}
        try:
            for worker in workers.values():
                worker.ask(texts[:WARM_UP_ROWS])
            return [one_round(workers, texts) for _ in range(chosen.rounds)]
        finally:
            for worker in workers.values():
                worker.stop()


def prepared(place: Path, chosen: argparse.Namespace, names: Sequence[str]) -> dict[str, Path]:
    """Peer → the folder that it loads."""
    exported = place / "hf"
    tunewright("export", chosen.bundle, "--to", "hf", "--out", exported)
    folders = dict.fromkeys(PEERS, exported) | {"tunewright": chosen.bundle, "int8": chosen.int8}
    if "plain int8" in names:
        python(PLAIN, exported, exported)
    if "classifier" in names:
        folders["classifier"] = place / "classifier"
        python(CLASSIFIER, exported, folders["classifier"])
    return folders


def one_round(workers: dict[str, Worker], texts: list[str]) -> dict[str, dict[str, Any]]:
    answers = {peer: worker.ask(texts) for peer, worker in workers.items()}
    for peer in set(answers) & {"pipeline", "tensors", "sorted"} if "tunewright" in answers else ():
        pairs = enumerate(zip(answers[peer]["labels"], answers["tunewright"]["labels"], strict=True))
        different = [row for row, (theirs, ours) in pairs if theirs != ours]
        if different:
            raise SystemExit(f"{peer} and tunewright differ in {len(different)} rows, the first is {different[0]}")
    return answers


def timed(answers: Answer) -> Callable[[Any], dict[str, Any]]:
    """Texts in, labels and seconds out, and the seconds of some of them one at a time."""

    def ask(texts: Any) -> dict[str, Any]:
        wall, cpu = time.perf_counter(), time.process_time()
        labels = answers(texts)
        seconds = {"wall_s": time.perf_counter() - wall, "cpu_s": time.process_time() - cpu}
        single = []
        for text in texts[:: max(1, len(texts) // SINGLE)][:SINGLE]:
            begun = time.perf_counter()
            answers([text])
            single.append(time.perf_counter() - begun)
        return {**seconds, "single_s": single, "labels": labels}

    return ask


def quantile(rounds: Sequence[dict[str, dict[str, Any]]], peer: str, q: float) -> float:
    """Milliseconds of one text, of all rounds together."""
    took = sorted(one for each in rounds for one in each[peer]["single_s"])
    return float(took[min(len(took) - 1, int(q * len(took)))]) * 1000


def row(
    peer: str, ours: str, rounds: Sequence[dict[str, dict[str, Any]]], n: int, right: float, part: float | None
) -> tuple[str, ...]:
    wall_s, cpu_s = ([one[peer][name] for one in rounds] for name in ("wall_s", "cpu_s"))
    slower, dearer = ([one[peer][name] / one[ours][name] for one in rounds] for name in ("wall_s", "cpu_s"))
    target = held(median(slower), TARGETS[peer]) if peer in TARGETS else ""
    times = (f"{median(slower):.2f} ({spread(slower)})", target, f"{median(dearer):.2f} ({spread(dearer)})")
    p50, p99 = (f"{quantile(rounds, peer, q):.1f}" for q in (0.5, 0.99))
    cpu = f"{median(cpu_s):.2f} ({spread(cpu_s)})"
    told = "" if peer == "classifier" else f"{right:.4f}"
    return (peer, f"{n / median(wall_s):,.0f}", cpu, *times, p50, p99, told, "" if part is None else f"{part:.0%}")


def of_tunewright(bundle: Path, threads: int) -> Answer:
    from tunewright import load

    predictor = load(bundle, threads=threads)
    return lambda texts: [answer.label for answer in predictor.predict(texts)]


def of_pipeline(folder: Path, threads: int, **options: Any) -> Answer:
    import numpy as np
    import torch
    from transformers import pipeline

    torch.set_num_threads(threads)
    extract, decide = pipeline("feature-extraction", model=str(folder)), Head(folder)
    return lambda texts: decide(
        np.stack([decide.pool(np.asarray(states[0])) for states in extract(decide.prefixed(texts), **options)])
    )


def of_tensors(folder: Path, threads: int) -> Answer:
    return of_pipeline(folder, threads, return_tensors=True)


def of_classifier(folder: Path, threads: int) -> Answer:
    import torch
    from transformers import pipeline

    torch.set_num_threads(threads)
    classify = pipeline("text-classification", model=str(folder))
    return lambda texts: [one["label"] for one in classify(texts)]


def of_plain_int8(folder: Path, threads: int) -> Answer:
    import numpy as np
    import onnxruntime
    from transformers import AutoTokenizer

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(str(folder / "int8.onnx"), options, providers=["CPUExecutionProvider"])
    tokenizer, decide = AutoTokenizer.from_pretrained(folder), Head(folder)

    def answers(texts: list[str]) -> list[str]:
        ids = tokenizer(decide.prefixed(texts), truncation=True, max_length=decide.max_tokens)["input_ids"]
        order = sorted(range(len(ids)), key=lambda at: -len(ids[at]))
        pooled: list[Any] = [None] * len(ids)
        while order:
            rows = max(1, BUDGET // len(ids[order[0]]))
            index, order = order[:rows], order[rows:]
            batch = tokenizer.pad({"input_ids": [ids[at] for at in index]}, return_tensors="np")
            wanted = {name: batch[name].astype(np.int64) for name in ("input_ids", "attention_mask")}
            (states,) = session.run(None, wanted)
            for at, one in zip(index, states, strict=True):
                pooled[at] = decide.pool(one[: len(ids[at])])
        return decide(np.stack(pooled))

    return answers


def of_sorted(folder: Path, threads: int) -> Answer:
    import numpy as np
    import torch
    from transformers import AutoModel, AutoTokenizer

    torch.set_num_threads(threads)
    tokenizer, encoder = AutoTokenizer.from_pretrained(folder), AutoModel.from_pretrained(folder).eval()
    decide = Head(folder)

    def answers(texts: list[str]) -> list[str]:
        ids = tokenizer(decide.prefixed(texts), truncation=True, max_length=decide.max_tokens)["input_ids"]
        order = sorted(range(len(ids)), key=lambda at: len(ids[at]))
        pooled: list[Any] = [None] * len(ids)
        for first in range(0, len(order), BATCH_ROWS):
            index = order[first : first + BATCH_ROWS]
            batch = tokenizer.pad({"input_ids": [ids[at] for at in index]}, return_tensors="pt")
            with torch.inference_mode():
                states = encoder(**batch).last_hidden_state.numpy()
            for at, one in zip(index, states, strict=True):
                pooled[at] = decide.pool(one[: len(ids[at])])
        return decide(np.stack(pooled))

    return answers


class Head:
    """The exported head in numpy: states of one row → pooled (d,); all rows' (n, d) → labels."""

    def __init__(self, folder: Path) -> None:
        from safetensors.numpy import load_file

        about, weights = (
            json.loads((folder / "head.json").read_text(encoding="utf-8")),
            load_file(folder / "head.safetensors"),
        )
        self.weight, self.bias, self.labels = weights["weight"], weights["bias"], about["target"]["labels"]
        self.pooling, self.prefix, self.max_tokens = about["pooling"], about["prefix"], about["max_tokens"]

    def prefixed(self, texts: list[str]) -> list[str]:
        return [self.prefix + text for text in texts]

    def pool(self, states: Any) -> Any:
        """(t, d), without padding → (d,)"""
        return {"mean": lambda: states.mean(0), "cls": lambda: states[0], "max": lambda: states.max(0)}[self.pooling]()

    def __call__(self, pooled: Any) -> list[str]:
        import numpy as np

        unit = pooled / np.linalg.norm(pooled, axis=1, keepdims=True)
        return [self.labels[at] for at in (unit @ self.weight.T + self.bias).argmax(1)]


PEERS: dict[str, Callable[[Path, int], Answer]] = {
    "tunewright": of_tunewright,
    "int8": of_tunewright,
    "pipeline": of_pipeline,
    "tensors": of_tensors,
    "sorted": of_sorted,
    "plain int8": of_plain_int8,
    "classifier": of_classifier,
}

if __name__ == "__main__":
    main()
