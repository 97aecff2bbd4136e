"""Cost as the work grows: rows 1,000 → 1,000,000, tokens 8 → 512, classes 2 → 2,000, one axis at a time (minilm-en).

Compared: peak RSS and wall time of `tunewright fit` with words alone and with full fine-tuning; limit: at most 2 GB
beyond the bundle's own size, at every size. Over tokens: seconds per token of the gradient loop; limit: none, it should
not grow. The figures are drawn into a picture with `--plot FILE.svg`.
How: Banking77's training rows, repeated, each with a number and one word exchanged; 1,000 rows to judge on and as many
validation rows. Full fine-tuning runs for `--minutes`; it need not end its epoch, since memory is what is asked. Texts
of a given length are made of a few words, 20,000 tokens of each length; classes are drawn at random.

    python benchmarks/growth.py --plot docs/images/growth.svg              expected: 40 minutes
    python benchmarks/growth.py --axes tokens                              expected: 3 minutes
    python benchmarks/growth.py --axes --join a.json b.json --plot FILE    what was measured before, in parts
"""

from __future__ import annotations

import csv
import json
import random
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from _measure import Worker, answer, data, fit, held, parser, peers, records, report

SIZES = {"rows": (1_000, 10_000, 100_000, 1_000_000), "tokens": (8, 32, 128, 512), "classes": (2, 20, 200, 2_000)}
METHODS = ("lexical", "full")
JUDGED = 1_000
OF_CLASSES = 20_000
"""Rows where classes grow."""
TOKENS = 20_000
LIMIT_GB = "≤ 2.0"
PLOT = """
import json, sys
import matplotlib
matplotlib.use("svg")
matplotlib.rcParams["svg.hashsalt"] = "growth"
from matplotlib import pyplot
points = json.load(sys.stdin)
axes = list(dict.fromkeys(point["axis"] for point in points))
figure, plots = pyplot.subplots(1, len(axes), figsize=(4 * len(axes), 3), layout="constrained", squeeze=False)
for axis, plot in zip(axes, plots[0]):
    some = [point for point in points if point["axis"] == axis]
    for method in dict.fromkeys(point["method"] for point in some):
        of = [point for point in some if point["method"] == method]
        y = [1e6 * p["seconds_per_token"] if axis == "tokens" else p["peak_rss_bytes"] / 1e9 for p in of]
        plot.plot([point["size"] for point in of], y, marker="o", label=method)
    plot.set(xscale="log", xlabel=axis, ylabel="µs per token" if axis == "tokens" else "peak RSS, GB")
    plot.set_ylim(bottom=0)
    plot.legend()
figure.savefig(sys.argv[1], metadata={"Date": None})
"""


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--axes", nargs="*", default=list(SIZES), choices=list(SIZES))
    options.add_argument("--methods", nargs="+", default=list(METHODS), choices=METHODS)
    options.add_argument("--largest", type=int, default=1_000_000, help="rows of the largest fit")
    options.add_argument("--minutes", type=float, default=3.0, help="time for one fit")
    options.add_argument("--plot", type=Path, metavar="FILE", help="draw the figures here (svg)")
    options.add_argument("--join", type=Path, nargs="+", default=[], metavar="FILE", help="what --json wrote before")
    options.add_argument("--worker", nargs=1, help="(internal)")
    chosen = options.parse_args()
    if chosen.worker:
        return answer(seconds_per_token)
    if chosen.quick:
        chosen.largest, chosen.minutes = 1_000, 0.5
    points = [one for file in chosen.join for one in json.loads(file.read_text(encoding="utf-8"))["figures"]["points"]]
    for axis in chosen.axes:
        for point in measured(axis, chosen):
            print(point, file=sys.stderr, flush=True)  # each takes minutes
            points.append(point)
    head = ("axis", "size", "method", "wall s", "peak RSS GB", "bundle MB", "RSS beyond the bundle, GB", "µs per token")
    if chosen.plot:
        draw(points, chosen.plot)
    note = f"n = 1 at each size; full fine-tuning for {chosen.minutes:g} minutes, batches of 64 rows"
    report(chosen, head, [row(point) for point in points], note, {"points": points})
    return None


def measured(axis: str, options: Any) -> Iterator[dict[str, Any]]:
    if axis == "tokens":
        yield from over_tokens(options)
        return
    for size in SIZES[axis]:
        rows, classes = (size, 77) if axis == "rows" else (OF_CLASSES, size)
        if rows > max(options.largest, OF_CLASSES * (not options.quick)) or (options.quick and size > options.largest):
            continue
        for method in options.methods:
            with tempfile.TemporaryDirectory() as folder:
                point = one(Path(folder), rows, classes if axis == "classes" else 0, method, options.minutes)
            yield {"axis": axis, "size": size, "method": method, **point}


def one(folder: Path, rows: int, classes: int, method: str, minutes: float) -> dict[str, Any]:
    """One fit of so many rows: what it took.

    classes : so many are drawn at random; 0: the rows' own
    """
    train, validation, test = (folder / f"{name}.csv" for name in ("train", "validation", "test"))
    write(train, rows, classes, seed=0)
    write(validation, JUDGED, classes, seed=1)
    write(test, JUDGED, classes, seed=2)
    words = ["--test", str(test), "--text", "text", "--label", "label", "--method", method, "--minutes", str(minutes)]
    words += ["--backbone", "minilm-en", "--set", f'data.validation="{validation}"']
    done, told = fit(folder / "bundle", train, *words)
    return {**done.figures, "bundle_bytes": told["size_bytes"]}


def write(path: Path, rows: int, classes: int, seed: int) -> None:
    """Rows of Banking77, each with a number and one word exchanged for that of another row."""
    draws = random.Random(seed)
    source = records(data("banking77/train.csv"))
    words = [word for one in source for word in one["text"].split()]
    order = list(range(len(source)))
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("text", "label"))
        for at in range(rows):
            if at % len(source) == 0:
                draws.shuffle(order)
            one = source[order[at % len(source)]]
            text = one["text"].split()
            text[draws.randrange(len(text))] = draws.choice(words)
            label = f"class {at % classes}" if classes else one["category"]
            writer.writerow((f"{' '.join(text)} {seed}{at}", label))


def over_tokens(options: Any) -> Iterator[dict[str, Any]]:
    worker = Worker(__file__, "tokens")
    try:
        for size in SIZES["tokens"]:
            for _ in range(2):  # the first is to warm up
                told = worker.ask({"size": size, "tokens": 2_000 if options.quick else TOKENS})
            yield {"axis": "tokens", "size": size, "method": "full", **told}
    finally:
        worker.stop()


def seconds_per_token(question: Any) -> dict[str, float]:
    """An epoch of full fine-tuning on texts of one length."""
    import time

    from epoch_cost import of_tunewright

    from tunewright.backbones._catalogue import find

    size = question["size"]
    words = ["card", "the", "my", "payment", "not", "is", "account", "money", "transfer", "where"]
    draws = random.Random(size)
    text = [" ".join(draws.choices(words, k=size - 2)) for _ in range(max(16, question["tokens"] // size))]
    epoch = of_tunewright(find("minilm-en").folder, 64, threads=2)
    begun = time.perf_counter()
    epoch([(one, at % 77) for at, one in enumerate(text)])
    wall = time.perf_counter() - begun
    return {"wall_s": wall, "seconds_per_token": wall / (size * len(text))}


def row(point: dict[str, Any]) -> tuple[str, ...]:
    begin = (point["axis"], f"{point['size']:,}", point["method"], f"{point['wall_s']:.1f}")
    if "seconds_per_token" in point:
        return (*begin, "", "", "", f"{1e6 * point['seconds_per_token']:.0f}")
    peak, bundle = point["peak_rss_bytes"] / 1e9, point["bundle_bytes"] / 1e9
    return (*begin, f"{peak:.2f}", f"{1000 * bundle:.0f}", f"{peak - bundle:.2f}; {held(peak - bundle, LIMIT_GB)}", "")


def draw(points: list[dict[str, Any]], path: Path) -> None:
    """One small plot for each axis: peak RSS over rows and classes, time per token over tokens."""
    subprocess.run([peers("matplotlib"), "-c", PLOT, path], input=json.dumps(points), text=True, check=True)


if __name__ == "__main__":
    main()
