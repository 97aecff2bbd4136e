"""One text at a time: this code against another checkout of it.

Compared: `predict` of single Banking77 test texts by the code here, and by that of a folder with an earlier one.
How: a process for each, loaded and warmed up; blocks of 50 texts in turn, the other side first in the next block, the
same 300 texts in each round. CPU time counts, so that a machine with other work will do; wall time is told beside it.
Labels of both sides must be equal, or the benchmark fails.

    git worktree add ../before HEAD~1
    python benchmarks/one_text.py --bundle intents-int8/ --against ../before           expected: 1 minute
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from _measure import ROOT, Worker, answer, data, of_bundle, parser, records, report, settle, show

TEXTS, BLOCK = 300, 50
WARM_UP = 40
QUANTILES = (0.1, 0.25, 0.5, 0.99)
Timed = list[tuple[float, float, str]]
"""CPU-ms, wall ms and label of each text."""


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--bundle", type=Path, help="a bundle fitted on Banking77")
    options.add_argument("--against", type=Path, help="a checkout of other code, a folder with src/ in it")
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--threads", type=int, default=1)
    options.add_argument("--worker", nargs=2, metavar=("BUNDLE", "THREADS"), help=argparse.SUPPRESS)
    chosen = options.parse_args()
    if chosen.worker:
        return answer(timed(Path(chosen.worker[0]), int(chosen.worker[1])))
    if not (chosen.bundle and chosen.against and (chosen.against / "src").is_dir()):
        options.error("--bundle and --against are needed, the latter with src/ in it")
    if chosen.quick:
        chosen.rounds = 1
    rows = records(data("banking77/test.csv"))
    texts = [one["text"] for one in rows[:: len(rows) // TEXTS]][:TEXTS]
    found = measure(chosen, texts)
    labels = [[label for _, _, label in one] for one in found.values()]
    if labels[0] != labels[1]:
        raise SystemExit("the two sides do not answer alike")
    head = ("code", *(f"{kind} ms p{q * 100:g}" for kind in ("CPU", "wall") for q in QUANTILES))
    lines = [
        [name, *(f"{quantile(one, at, q):.2f}" for at in (0, 1) for q in QUANTILES)] for name, one in found.items()
    ]
    note = f"n = {len(labels[0])} texts a side, threads {chosen.threads}; {of_bundle(show(chosen.bundle))}"
    report(chosen, head, lines, note, {name: [one[:2] for one in told] for name, told in found.items()})
    return None


def measure(chosen: argparse.Namespace, texts: list[str]) -> dict[str, Timed]:
    """Side → what each of its texts took, in the order in which they were asked."""
    workers = {"here": worker(chosen, ROOT), "against": worker(chosen, chosen.against.resolve())}
    found: dict[str, Timed] = {name: [] for name in workers}
    try:
        for one in workers.values():
            one.ask(texts[:WARM_UP])
        for block in range(chosen.rounds * len(texts) // BLOCK):
            first = block * BLOCK % len(texts)
            for name in list(workers)[:: 1 if block % 2 else -1]:
                found[name] += workers[name].ask(texts[first : first + BLOCK])["texts"]
    finally:
        for one in workers.values():
            one.stop()
    return found


def worker(chosen: argparse.Namespace, checkout: Path) -> Worker:
    """A process that imports the code of a checkout."""
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = str(checkout / "src")
    try:
        return Worker(__file__, chosen.bundle, str(chosen.threads), threads=chosen.threads)
    finally:
        if before is None:
            del os.environ["PYTHONPATH"]
        else:
            os.environ["PYTHONPATH"] = before


def timed(bundle: Path, threads: int) -> Callable[[Any], dict[str, Any]]:
    settle()
    from tunewright.runtime.predictor import Predictor

    predictor = Predictor.load(bundle, threads)

    def ask(texts: list[str]) -> dict[str, Any]:
        out = []
        for text in texts:
            cpu, wall = time.process_time(), time.perf_counter()
            (found,) = predictor.predict([text])
            took = time.process_time() - cpu, time.perf_counter() - wall
            out.append((took[0] * 1000, took[1] * 1000, found.label))
        return {"texts": out}

    return ask


def quantile(timed: Timed, at: int, q: float) -> float:
    values = sorted(one[at] for one in timed)
    return values[min(len(values) - 1, int(q * len(values)))]


if __name__ == "__main__":
    main()
