"""Does a running service answer 20,000 requests, generated from its own description, as the description says?

Measured: status of every answer, how many of the 200s fit their schema, 5xx, stack traces in answers or in the log, and
    the resident memory of the service while they come.
How: the service runs in a process of its own at the loopback, with the bundle that the tests keep (real graphs, two
    languages, a promise and a detector) or one of yours. Schemathesis draws bodies that fit (two of three) and that do
    not; every answer is compared with the description (status, content type, headers, schema). Small limits keep the
    bodies small, so that the time goes into requests. Memory is read after each 250 requests; what the first 2,000 fill
    (caches, threads) is not counted as growth.
Asked for: at least 30 % are answered 200 with bodies that fit, no 5xx, no stack trace, memory flat (≤ 10 MB more).

    python benchmarks/schemathesis_run.py                        expected: 5 minutes on two idle cores
"""

from __future__ import annotations

import json
import math
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from _measure import ROOT, environment, parser, report, settle

settle()

import schemathesis  # noqa: E402  (after the environment is set)
from hypothesis import HealthCheck, Phase, given, seed, settings  # noqa: E402
from schemathesis import GenerationMode  # noqa: E402
from schemathesis.core.failures import FailureGroup  # noqa: E402

LIMITS = {"batch_rows": 8, "text_characters": 200, "top_candidates": 20, "explain_pieces": 8}
SERVICE = """
import json, pathlib, sys
from tunewright.serve.limits import Limits
from tunewright.serve.run import serve
serve([pathlib.Path(sys.argv[1])], port=0, limits=Limits(**json.loads(sys.argv[2])))
"""
ROUND = 250
WARM = 2000
TRACE = '.py"' + ", line "
POSITIVE, NEGATIVE = GenerationMode.POSITIVE, GenerationMode.NEGATIVE
ROUNDS = (("predict", POSITIVE), ("predict", NEGATIVE), ("explain", POSITIVE))


@dataclass
class Seen:
    """What came back."""

    statuses: dict[str, Counter[int]] = field(default_factory=dict)
    fitting: int = 0
    failures: Counter[str] = field(default_factory=Counter)
    traces: int = 0
    rss_mb: list[float] = field(default_factory=list)

    @property
    def requests(self) -> int:
        return sum(sum(one.values()) for one in self.statuses.values())


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--bundle", type=Path, default=ROOT / "tests" / "runtime" / "bundles" / "format-2")
    options.add_argument("--requests", type=int, default=20_000)
    options.add_argument("--seconds", type=float, default=math.inf, help="report what came by then")
    chosen = options.parse_args()
    most = 300 if chosen.quick else chosen.requests
    seen = Seen()
    with tempfile.TemporaryFile("w+") as log, service(chosen.bundle, log) as (pid, address):
        schema = schemathesis.openapi.from_url(f"{address}/openapi.json")
        number = 0
        end = time.monotonic() + chosen.seconds
        while seen.requests < most and time.monotonic() < end:
            verb, mode = ROUNDS[number % len(ROUNDS)]
            drive(schema[f"/{verb}"]["POST"], mode, min(ROUND, most - seen.requests), number, seen)
            seen.rss_mb.append(rss_mb(pid))
            print(seen.requests, dict(seen.failures), f"{seen.rss_mb[-1]:.1f} MB", file=sys.stderr, flush=True)
            number += 1
        log.seek(0)
        errors = [line for line in map(json.loads, log) if line["level"] == "error"]
    tell(chosen, seen, errors)


@contextmanager
def service(bundle: Path, log: Any) -> Iterator[tuple[int, str]]:
    command = [sys.executable, "-c", SERVICE, str(bundle), json.dumps(LIMITS)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True, env=environment()) as process:
        try:
            assert process.stdout is not None
            yield process.pid, process.stdout.readline().split(" at ")[1].split()[0]
        finally:
            process.terminate()


def drive(operation: Any, mode: GenerationMode, count: int, number: int, seen: Seen) -> None:
    statuses = seen.statuses.setdefault(f"{operation.path} {mode.value}", Counter())
    left = [count]
    allowed = [schemathesis.checks.negative_data_rejection, schemathesis.checks.positive_data_acceptance]

    @seed(number)
    @settings(
        max_examples=count,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(operation.as_strategy(generation_mode=mode))
    def ask(case: Any) -> None:
        if not left[0]:
            return
        left[0] -= 1
        response = case.call()
        statuses[response.status_code] += 1
        seen.traces += TRACE in response.text
        # A text without a word has no explanation, and too many inputs are a 413: no schema can say that.
        excluded = allowed if operation.path == "/explain" or response.status_code == 413 else []
        try:
            case.validate_response(response, excluded_checks=excluded)
            seen.fitting += response.status_code == 200
        except FailureGroup as failed:
            seen.failures.update(str(one).partition("\n")[0] for one in failed.exceptions)

    ask()


def rss_mb(pid: int) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1024


def tell(chosen: Any, seen: Seen, errors: list[Any]) -> None:
    head = ("requests to", "n", "answered", "200")
    rows = [
        (f"`{name}`", f"{sum(one.values()):,}", ", ".join(f"{status}: {n:,}" for status, n in sorted(one.items())),
         f"{100 * one[200] / max(sum(one.values()), 1):.0f} %")
        for name, one in seen.statuses.items()
    ]  # fmt: skip
    total = seen.requests
    failed = sum(n for one in seen.statuses.values() for status, n in one.items() if status >= 500)
    warm = seen.rss_mb[min(WARM // ROUND - 1, len(seen.rss_mb) - 1)]
    share = f"{seen.fitting:,} ({100 * seen.fitting / total:.0f} %)"
    note = (
        f"n = {total:,} requests, seeds 0 to {len(seen.rss_mb) - 1}; {share} answered 200 with a body "
        f"that fits; 5xx: {failed}; stack traces: {seen.traces} in answers, "
        f"{len(errors)} errors in the log; differences from the description: {dict(seen.failures) or 'none'}; "
        f"memory {warm:.1f} MB after {WARM:,} requests, {seen.rss_mb[-1]:.1f} MB at the end, "
        f"at most {max(seen.rss_mb):.1f} MB"
    )
    raw = {name: dict(one) for name, one in seen.statuses.items()} | {"rss_mb": seen.rss_mb, "fitting": seen.fitting}
    report(chosen, head, rows, note, raw)


if __name__ == "__main__":
    main()
