"""Speed of `predict` on the 3,080 Banking77 test rows, against the Hugging Face pipeline and plain torch.

Compared, all with the same weights (the bundle, and its encoder and head by `tunewright export --to hf`), 2 threads:
    tunewright   a loaded bundle's `predict`
    pipeline     `transformers.pipeline("feature-extraction")` at its defaults, then pooling, normalisation and head in
                 numpy
    tensors      the same with `return_tensors=True`, which saves it the nested lists
    sorted       AutoModel in torch: rows sorted by length, batches of 32, inference mode, the same head
How: each in a process of its own that has loaded and warmed up; a round runs them one after the other while the others
wait for their turn; the ratio is taken round by round, its median counts (target: pipeline / tunewright ≥ 6). Loading
is not in the time. Every round's labels must be those of tunewright, row by row, or the benchmark fails.

    tunewright fit train.csv --test test.csv --text text --label category --out intents/
    python benchmarks/predict_speed.py --bundle intents/            expected: 6 minutes
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
    records,
    report,
    short,
    show,
    spread,
    tunewright,
)

Answer = Callable[[list[str]], list[str]]
THREADS = 2
BATCH_ROWS = 32
WARM_UP_ROWS = 128


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--bundle", type=Path, help="a bundle fitted on Banking77")
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--worker", nargs=2, metavar=("PEER", "FOLDER"), help=argparse.SUPPRESS)
    chosen = options.parse_args()
    if chosen.worker:
        return answer(timed(PEERS[chosen.worker[0]](Path(chosen.worker[1]))))
    if not chosen.bundle:
        options.error("--bundle is needed")
    rows = data("banking77/test.csv")
    texts = [record["text"] for record in records(rows)]
    if chosen.quick:
        texts, chosen.rounds = texts[::100], 2
    rounds = measure(chosen.bundle, texts, chosen.rounds)
    note = (
        f"n = {len(rounds)} rounds of {len(texts):,} rows (test.csv {short(digest(rows))}), {THREADS} threads; "
        f"medians, smallest–largest; the same labels in every round; {of_bundle(show(chosen.bundle))}"
    )
    head = ("peer", "wall s", "rows/s", "CPU-s", "× the time of tunewright", "target")
    report(
        chosen, head, [row(peer, rounds, len(texts)) for peer in PEERS], note, {"rows": len(texts), "rounds": rounds}
    )
    return None


def measure(bundle: Path, texts: list[str], count: int) -> list[dict[str, dict[str, float]]]:
    """Rounds of peer → seconds; every process is started, loaded and warmed up before the first round."""
    with tempfile.TemporaryDirectory() as name:
        exported = Path(name) / "hf"
        tunewright("export", bundle, "--to", "hf", "--out", exported)
        folders = dict.fromkeys(PEERS, exported) | {"tunewright": bundle}
        workers = {peer: Worker(__file__, peer, folders[peer]) for peer in PEERS}
        try:
            for worker in workers.values():
                worker.ask(texts[:WARM_UP_ROWS])
            return [one_round(workers, texts) for _ in range(count)]
        finally:
            for worker in workers.values():
                worker.stop()


def one_round(workers: dict[str, Worker], texts: list[str]) -> dict[str, dict[str, float]]:
    answers = {peer: worker.ask(texts) for peer, worker in workers.items()}
    labels = {peer: answer.pop("labels") for peer, answer in answers.items()}
    for peer, found in labels.items():
        pairs = enumerate(zip(found, labels["tunewright"], strict=True))
        different = [row for row, (theirs, ours) in pairs if theirs != ours]
        if different:
            raise SystemExit(f"{peer} and tunewright differ in {len(different)} rows, the first is {different[0]}")
    return answers


def timed(answers: Answer) -> Callable[[Any], dict[str, Any]]:
    """Texts in, labels and seconds out."""

    def ask(texts: Any) -> dict[str, Any]:
        wall, cpu = time.perf_counter(), time.process_time()
        labels = answers(texts)
        seconds = {"wall_s": time.perf_counter() - wall, "cpu_s": time.process_time() - cpu}
        return {**seconds, "labels": labels}

    return ask


def row(peer: str, rounds: Sequence[dict[str, dict[str, float]]], n: int) -> tuple[str, ...]:
    wall_s, cpu_s = ([one[peer][name] for one in rounds] for name in ("wall_s", "cpu_s"))
    ratios = [one[peer]["wall_s"] / one["tunewright"]["wall_s"] for one in rounds]
    target = held(median(ratios), "≥ 6") if peer == "pipeline" else ""
    speed = f"{n / median(wall_s):,.0f}"
    wall = f"{median(wall_s):.2f} ({spread(wall_s)})"
    return (peer, wall, speed, f"{median(cpu_s):.2f}", f"{median(ratios):.2f} ({spread(ratios)})", target)


def of_tunewright(bundle: Path) -> Answer:
    from tunewright import load

    predictor = load(bundle, threads=THREADS)
    return lambda texts: [answer.label for answer in predictor.predict(texts)]


def of_pipeline(folder: Path, **options: Any) -> Answer:
    import numpy as np
    import torch
    from transformers import pipeline

    torch.set_num_threads(THREADS)
    extract, decide = pipeline("feature-extraction", model=str(folder)), Head(folder)
    return lambda texts: decide(
        np.stack([decide.pool(np.asarray(states[0])) for states in extract(decide.prefixed(texts), **options)])
    )


def of_tensors(folder: Path) -> Answer:
    return of_pipeline(folder, return_tensors=True)


def of_sorted(folder: Path) -> Answer:
    import numpy as np
    import torch
    from transformers import AutoModel, AutoTokenizer

    torch.set_num_threads(THREADS)
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


PEERS: dict[str, Callable[[Path], Answer]] = {
    "tunewright": of_tunewright,
    "pipeline": of_pipeline,
    "tensors": of_tensors,
    "sorted": of_sorted,
}

if __name__ == "__main__":
    main()
