"""What compression costs and saves: MiniLM on Banking77 and AG News, E5 small on thucnews.

Compared: each setting of each step against the bundle as it was, on held-out rows, by `tunewright compress`.
    banking77    int8; int8_static; vocabulary,int8; fp16: by the limits that are its defaults
                 prune at one half; at two thirds, with vocabulary and int8 (10 MB); static: whatever they lose
    ag_news      static student of a probe, whatever it loses
    thucnews     vocabulary,int8 with size_mb<=60, every fifth row judges; words of the main scripts in 8 bits, the rest
                 in fp16; static student, whatever these lose
How: one child per way; its JSON is the table. Steps learn from the training rows, those whose tokens stay. Times are
measured by `compress` itself while nothing else runs: single rows and bulk, so read them only from a machine that is
idle. With --valid a tenth of the training rows judges instead of the test part, for choices.

    tunewright fit train.csv --test test.csv --text text --label category --out intents/
    python benchmarks/compress.py --bundle intents/                                     expected: 25 minutes
    python benchmarks/compress.py --bundle intents/ --only int8 --rows 400              quick look, 1 minute
    python benchmarks/compress.py --sets ag_news,thucnews                               expected: 20 minutes
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from _measure import environment, parser
from _sets import SETS as KNOWN
from _sets import Rows, drawn, written

TUNEWRIGHT = (sys.executable, "-c", "from tunewright.cli import main; main()")
TOLD = (
    "step",
    "setting",
    "size_mb",
    "p50_ms",
    "p99_ms",
    "rows_per_s",
    "value",
    "low",
    "high",
    "lost",
    "lost_low",
    "lost_high",
    "recall_lost",
    "flips",
)
FREE = tuple(word for name in ("accuracy_lost", "flips") for word in ("--set", f"compress.{name}=1"))
"""Nothing is refused: what is lost is the figure."""


@dataclass(frozen=True)
class Way:
    """Steps, and what else the command is told."""

    to: str
    more: tuple[str, ...] = ()


STATIC = Way("distill=static,vocabulary,int8", FREE)
WAYS = {
    "banking77": {
        "int8": Way("int8"),
        "int8_static": Way("int8_static"),
        "vocabulary": Way("vocabulary,int8"),
        "fp16": Way("fp16"),
        "half": Way("prune=half of the heads and neurons", FREE),
        "10mb": Way("vocabulary,prune=two thirds of the heads and neurons,int8", (*FREE, "--target", "size_mb<=10")),
        "static": STATIC,
    },
    "ag_news": {"static": STATIC},
    "thucnews": {
        "vocabulary": Way("vocabulary,int8", ("--target", "size_mb<=60")),
        "main": Way("vocabulary=all tokens of the main scripts,int8_words,fp16", ("--target", "size_mb<=60", *FREE)),
        "static": STATIC,
    },
}


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--bundle", type=Path, help="a bundle fitted on Banking77; others are fitted here, by probe")
    options.add_argument("--sets", default="banking77", help="banking77, ag_news, thucnews, several with commas")
    options.add_argument("--only", default="", help="ways, with commas")
    options.add_argument("--rows", type=int, default=0, help="judge on so many rows alone")
    options.add_argument("--valid", action="store_true", help="judge on a tenth of the training rows")
    chosen = options.parse_args()
    figures: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        for name in chosen.sets.split(","):
            figures[name] = of_set(name, Path(folder) / name, chosen)
    if chosen.json:
        Path(chosen.json).write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


def of_set(name: str, folder: Path, chosen: Any) -> dict[str, Any]:
    """Way → what `compress --json` says."""
    folder.mkdir()
    train, test = parts(name, valid=chosen.valid)
    if chosen.rows:
        test = drawn(test, chosen.rows, 0)
    files = written(folder / "train.csv", train), written(folder / "test.csv", test)
    bundle = chosen.bundle if name == "banking77" and chosen.bundle else fitted(name, folder, *files)
    found = {}
    for way, how in WAYS[name].items():
        if chosen.only and way not in chosen.only.split(","):
            continue
        words = (
            "--train",
            files[0],
            "--label",
            "label",
            "--to",
            how.to,
            "--out",
            folder / way,
            "--json",
            "--quiet",
            *how.more,
        )
        found[way] = dict(json.loads(_run("compress", bundle, files[1], *words)))
        print(f"\n{name}, {way}, n = {len(test)}")
        for one in found[way]["tried"]:
            cells = [f"{one[key]:.4g}" if isinstance(one[key], float) else str(one[key]) for key in TOLD]
            print("  ".join(cells), "|", one["outcome"], flush=True)
    return found


def parts(name: str, *, valid: bool) -> tuple[Rows, Rows]:
    """Rows to learn from, and rows that judge."""
    train, test = KNOWN[name].parts()
    if not valid:
        return train, test
    mixed = drawn(train, len(train), 0)
    tenth = len(mixed) // 10
    return mixed[tenth:], mixed[:tenth]


def fitted(name: str, folder: Path, train: Path, test: Path) -> Path:
    """A head on the frozen states of the set's backbone."""
    out = folder / "bundle"
    words = ("fit", train, "--test", test, "--text", "text", "--label", "label", "--method", "probe", "--quiet")
    _run(*words, "--backbone", KNOWN[name].backbone, "--out", out)
    return out


def _run(*words: Any) -> str:
    """Standard output of a command; a refusal (exit code 3) prints its table too."""
    done = subprocess.run([*TUNEWRIGHT, *map(str, words)], capture_output=True, text=True, env=environment())
    if done.returncode not in (0, 3):
        raise SystemExit(done.stderr[-2000:])
    return done.stdout


if __name__ == "__main__":
    main()
