"""Do the default alarms catch what was broken on purpose, and leave a sound model alone?

Compared: for each of 14 planted faults, the share of draws in which the right audit raises its alarm, by the size of
    the fault; and for the same model without a fault, the alarms of all audits that have a default limit.
How: made-up texts of six topics from lists of words (1,200 training, 400 held, 400 judged rows, drawn anew each time),
    a logistic regression on counts of words that is right in nine of ten rows, asked as a plain function. Faults and
    their sizes: ``tests/faulty/faults.py``; limits: ``tunewright/audit/_alarms.py``. Sizes above the first one that is
    caught in every draw are not measured.
Asked for: a sound model raises no alarm in 20 draws; in the long run in at most one of twenty (``--clean 200``).

    python benchmarks/broken.py                     expected: 10 minutes on one thread
    python benchmarks/broken.py --only clean --clean 200
"""

from __future__ import annotations

import sys
from collections import Counter
from typing import Any

from _measure import ROOT, parser, report, settle

settle()
sys.path.append(str(ROOT / "tests"))

from faulty.faults import FAULTS, Fault  # noqa: E402  (after the environment is set)
from faulty.world import World, judged, world  # noqa: E402
from tunewright.audit import alarms, audit  # noqa: E402
from tunewright.audit._alarms import ALARMS  # noqa: E402

ENOUGH = 0.8
"""Share of draws from which on a size counts as caught."""


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--draws", type=int, default=20, help="of each fault")
    options.add_argument("--clean", type=int, default=20, help="draws of the sound model")
    options.add_argument("--only", default="", help="faults whose name holds this; clean: the sound model alone")
    chosen = options.parse_args()
    if chosen.quick:
        chosen.draws = chosen.clean = 2
    worlds = [world(seed) for seed in range(chosen.draws)]
    faults = [fault for fault in FAULTS if chosen.only in fault.name]
    caught = {fault.name: told(fault, share_caught(fault, worlds)) for fault in faults}
    clean = of_clean(chosen.clean) if chosen.only in ("", "clean") else {}
    head = ("fault", "caught by", "caught in 80 %", "share of draws caught, by size")
    rows = [(fault.name, f"`{fault.metric}`", *caught[fault.name]) for fault in faults]
    note = f"{chosen.draws} draws of each fault, seeds 0 to {chosen.draws - 1}"
    if clean:
        note += (
            f"; of {chosen.clean} draws without a fault {clean['draws']} raised an alarm: {clean['alarms'] or 'none'}"
        )
    report(chosen, head, rows, note, {"caught": caught, "clean": clean})


def share_caught(fault: Fault, worlds: list[World]) -> dict[float, float]:
    """Size → share of the draws, up to the first size that is caught in all of them."""
    found: dict[float, float] = {}
    for size in fault.sizes:
        hits = sum(raised(fault, size, drawn) for drawn in worlds)
        found[size] = hits / len(worlds)
        print(fault.name, size, found[size], file=sys.stderr, flush=True)
        if hits == len(worlds):
            break
    return found


def raised(fault: Fault, size: float, drawn: World) -> bool:
    found = audit(fault.plant(drawn, size), only=[fault.audit])
    return fault.metric in {one.finding.metric for one in alarms(found)}


def told(fault: Fault, found: dict[float, float]) -> tuple[str, str]:
    smallest = next((size for size, share in found.items() if share >= ENOUGH), None)
    shares = ", ".join(f"{size:g}: {100 * share:.0f} %" for size, share in found.items())
    return ("–" if smallest is None else f"{smallest:g} {fault.of}"), shares


def of_clean(count: int) -> dict[str, Any]:
    """In how many draws any alarm was raised, and which."""
    names, draws = Counter[str](), 0
    for seed in range(count):
        found = alarms(audit(judged(world(seed)), only={one.audit for one in ALARMS}))
        draws += bool(found)
        names.update(one.finding.metric for one in found)
        print("clean", seed, [(one.finding.metric, one.limit) for one in found], file=sys.stderr, flush=True)
    return {"draws": draws, "alarms": dict(names)}


if __name__ == "__main__":
    main()
