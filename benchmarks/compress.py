"""What int8, fp16 and a smaller vocabulary cost and save: MiniLM on Banking77, E5 small on thucnews.

Compared: each setting of each step against the bundle as it was, on held-out rows, by `tunewright compress` with limits
that refuse nothing but what its own defaults refuse.
    banking77    int8; vocabulary,int8; fp16        on the 3,080 test rows, tokens of the training rows stay
    thucnews     vocabulary,int8 with size_mb<=60   every fifth row judges, tokens of the training rows stay
How: one child per step; its JSON is the table. Times are measured by `compress` itself while nothing else runs: single
rows and bulk, so read them only from a machine that is idle.

    tunewright fit train.csv --test test.csv --text text --label category --out intents/
    python benchmarks/compress.py --bundle intents/                                     expected: 6 minutes
    python benchmarks/compress.py --bundle intents/ --rows 400                          quick look, 2 minutes
    python benchmarks/compress.py --sets thucnews                                       expected: 10 minutes
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from _measure import data, environment, parser, sampled
from _sets import SETS as KNOWN
from _sets import written

TUNEWRIGHT = (sys.executable, "-c", "from tunewright.cli import main; main()")
TOLD = ("setting", "size_mb", "p50_ms", "p99_ms", "rows_per_s", "value", "lost", "lost_low", "lost_high", "flips")


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--bundle", type=Path, help="a bundle fitted on Banking77")
    options.add_argument("--sets", default="banking77", help="banking77, thucnews, or both with a comma")
    options.add_argument("--rows", type=int, default=0, help="judge on so many rows alone")
    chosen = options.parse_args()
    figures: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        for name in chosen.sets.split(","):
            if name == "banking77" and not chosen.bundle:
                options.error("--bundle is needed")
            figures[name] = SETS[name](Path(folder), chosen)
    for name, steps in figures.items():
        for step, found in steps.items():
            print(f"\n{name}, {step}")
            for one in found["tried"]:
                cells = [f"{one[key]:.4g}" if isinstance(one[key], float) else str(one[key]) for key in TOLD]
                print("  ".join(cells), "|", one["outcome"])
    if chosen.json:
        Path(chosen.json).write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


def banking77(folder: Path, chosen: Any) -> dict[str, Any]:
    """The given bundle by three ways."""
    whole = data("banking77/test.csv")
    test = sampled(whole, folder, chosen.rows) if chosen.rows else whole
    train = data("banking77/train.csv")
    return {
        step: _compressed(chosen.bundle, test, train, step, folder / f"b-{at}")
        for at, step in enumerate(("int8", "vocabulary,int8", "fp16"))
    }


def thucnews(folder: Path, chosen: Any) -> dict[str, Any]:
    """E5 small with a head on its frozen states, on titles of Chinese news."""
    rows = dict(zip(("train", "test"), KNOWN["thucnews"].parts(), strict=True))
    train = written(folder / "train.csv", rows["train"][: 4 * chosen.rows or None])
    test = written(folder / "test.csv", rows["test"][: chosen.rows or None])
    bundle = folder / "thucnews"
    fit = ("fit", train, "--test", test, "--text", "text", "--label", "label", "--method", "probe", "--quiet")
    _run(*fit, "--backbone", "e5-small", "--out", bundle)
    step = "vocabulary,int8"
    return {step: _compressed(bundle, test, train, step, folder / "t", "--target", "size_mb<=60")}


SETS = {"banking77": banking77, "thucnews": thucnews}


def _compressed(bundle: Path, test: Path, train: Path, step: str, out: Path, *more: str) -> dict[str, Any]:
    said = _run("compress", bundle, test, "--train", train, "--to", step, "--out", out, "--json", "--quiet", *more)
    return dict(json.loads(said))


def _run(*words: Any) -> str:
    """Standard output of a command; a refusal (exit code 3) prints its table too."""
    done = subprocess.run([*TUNEWRIGHT, *map(str, words)], capture_output=True, text=True, env=environment())
    if done.returncode not in (0, 3):
        raise SystemExit(done.stderr[-2000:])
    return done.stdout


if __name__ == "__main__":
    main()
