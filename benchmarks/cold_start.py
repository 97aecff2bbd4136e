"""Cold start: what a fresh process costs until its first answer, and until the help of the command.

Compared: CPU seconds (user + system), wall time and peak RSS of
    first answer   python -c 'import tunewright; tunewright.load(BUNDLE).predict([TEXT])'; ≤ 0.6 CPU-s, ≤ 200 MB,
                   and of a bundle in int8 ≤ 0.3 CPU-s, ≤ 120 MB
    help           tunewright --help; ≤ 0.5 CPU-s
    python         an interpreter that does nothing, to see what is not ours (its peak RSS is that of the measuring
                   process, which it starts as a copy of: smaller peaks than this cannot be seen)
How: each is a new process, measured from outside (wait4), imports and digests included; one uncounted round fills the
file cache, then the three take turns.

    python benchmarks/cold_start.py --bundle intents/            expected: 1 minute
"""

from __future__ import annotations

from pathlib import Path
from statistics import median

from _measure import Child, held, of_bundle, parser, python, report, show, spread, tunewright

FIRST_ANSWER = "import sys, tunewright; print(tunewright.load(sys.argv[1]).predict(['I lost my card on the train']))"
TARGETS = {"first answer": ("≤ 0.6", "≤ 200"), "help": ("≤ 0.5", "")}
INT8 = {"first answer": ("≤ 0.3", "≤ 120"), "help": ("≤ 0.5", "")}


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--bundle", type=Path, required=True)
    options.add_argument("--rounds", type=int, default=11)
    chosen = options.parse_args()
    if chosen.quick:
        chosen.rounds = 1
    runs = [one_round(chosen.bundle) for _ in range(1 + chosen.rounds)][1:]
    by_name = {name: [one[name] for one in runs] for name in runs[0]}
    told = show(chosen.bundle)
    size = f"{told['size_bytes'] / 1e6:.0f} MB"
    note = f"n = {len(runs)} processes each, medians, smallest–largest; {of_bundle(told)}, {size}"
    head = ("process", "CPU-s", "target", "wall s", "peak RSS MB", "target")
    raw = {name: [one.figures for one in children] for name, children in by_name.items()}
    steps = [one["step"] for one in told["method_facts"].get("compressed", [])]
    targets = INT8 if "int8" in steps else TARGETS
    report(chosen, head, [row(name, children, targets) for name, children in by_name.items()], note, raw)


def one_round(bundle: Path) -> dict[str, Child]:
    first = python(FIRST_ANSWER, bundle)
    if "Label(label='" not in first.stdout:
        raise SystemExit(f"no answer: {first.stdout}")
    return {"first answer": first, "help": tunewright("--help"), "python": python("pass")}


def row(name: str, children: list[Child], targets: dict[str, tuple[str, str]]) -> tuple[str, ...]:
    cpu_s, wall_s = [one.cpu_s for one in children], median(one.wall_s for one in children)
    peak_mb = median(one.peak_rss_bytes for one in children) / 1e6
    limits = targets.get(name, ("", ""))
    cpu, memory = (
        held(value, limit) if limit else "" for value, limit in zip((median(cpu_s), peak_mb), limits, strict=True)
    )
    return (name, f"{median(cpu_s):.2f} ({spread(cpu_s)})", cpu, f"{wall_s:.2f}", f"{peak_mb:.0f}", memory)


if __name__ == "__main__":
    main()
