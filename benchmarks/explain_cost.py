"""What an explanation costs beside a prediction: a text of 32 words, by occlusion and by LIME.

Compared: the median time of one `predict` of the text, and of one `explain` of it
    occlusion 32   each word left out alone, as the command and Python do: 33 variants in one batched call
    occlusion 16   words in pairs, as the service does unless it is asked for more: 17 variants; aim ≤ 10 predictions
    occlusion 8    words in fours: 9 variants
    lime           500 variants
How: in one process on all threads of the quota; after one uncounted round the five take turns; the ratio is taken round
by round, its median counts.

    python benchmarks/explain_cost.py --bundle intents/            expected: 1 minute
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

from _measure import held, of_bundle, parser, report, show, spread

TEXT = (
    "hello i would like to know why my card payment was declined yesterday when i tried to buy food at the shop near "
    "my house even though there was enough money left"
)
AIM = "≤ 10"


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--bundle", type=Path, required=True)
    options.add_argument("--rounds", type=int, default=15)
    chosen = options.parse_args()
    if chosen.quick:
        chosen.rounds = 3
    runs = [one_round(asked) for asked in [ways(chosen.bundle)] for _ in range(1 + chosen.rounds)][1:]
    rows = [row(name, runs) for name in runs[0] if name != "predict"]
    told = show(chosen.bundle)
    one = median(run["predict"] for run in runs)
    note = f"n = {len(runs)} rounds, medians, smallest–largest; one prediction {one * 1000:.1f} ms; {of_bundle(told)}"
    head = ("explanation of 32 words", "ms", "predictions", "aim")
    report(chosen, head, rows, note, {name: [run[name] for run in runs] for name in runs[0]})


def ways(bundle: Path) -> dict[str, Callable[[], Any]]:
    import tunewright

    predictor = tunewright.load(bundle)
    (told,) = predictor.explain([TEXT])
    if (told.words, told.asked) != (32, 33):
        raise SystemExit(f"the text has {told.words} words and was asked for {told.asked} times")
    return {
        "predict": lambda: predictor.predict([TEXT]),
        "occlusion 32": lambda: predictor.explain([TEXT]),
        "occlusion 16": lambda: predictor.explain([TEXT], most=16),
        "occlusion 8": lambda: predictor.explain([TEXT], most=8),
        "lime": lambda: predictor.explain([TEXT], "lime"),
    }


def one_round(asked: dict[str, Callable[[], Any]]) -> dict[str, float]:
    """Seconds of each; the prediction is the mean of ten."""
    found = {}
    for name, ask in asked.items():
        times = 10 if name == "predict" else 1
        begun = time.perf_counter()
        for _ in range(times):
            ask()
        found[name] = (time.perf_counter() - begun) / times
    return found


def row(name: str, runs: list[dict[str, float]]) -> tuple[str, ...]:
    ratios = [run[name] / run["predict"] for run in runs]
    times = [run[name] * 1000 for run in runs]
    aim = held(median(ratios), AIM) if name == "occlusion 16" else ""
    return (name, f"{median(times):.1f}", f"{median(ratios):.1f} ({spread(ratios, 1)})", aim)


if __name__ == "__main__":
    main()
