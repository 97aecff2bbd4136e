"""Requests a second of the service, against LitServe and BentoML that serve the same ONNX model; switch and restart.

Compared: 32 callers on the loopback, each of whom sends single texts of the Banking77 test rows one after the other
over one connection and waits for each answer:
    tunewright   `tunewright serve BUNDLE` at its defaults
    litserve     LitServe, and
    bentoml      BentoML, both with the bundle's graphs in onnxruntime and batches, see _service_peers.py
How: a side is started, warmed up, loaded for so many seconds, and stopped; a round does so with each of them in turn.
The callers are one process of their own on the same two processors. Before the first round all sides answer 100 texts,
and their labels must be equal. Then, under the same load and of tunewright alone: the folder gets another bundle and
SIGHUP (--switch), and a service of two processes is replaced, process by process (--restart). Every request must be
answered 200; after the switch, by the new bundle.

    python benchmarks/service.py --bundle intents/ --other intents2/       expected: 12 minutes
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from statistics import median
from typing import Any

from _measure import (
    data,
    digest,
    environment,
    held,
    of_bundle,
    ours,
    parser,
    peers,
    records,
    report,
    short,
    show,
    spread,
)

HERE = Path(__file__).resolve().parent
PACKAGES = ("litserve==0.2.19", "bentoml==1.4.40")
SIDES = ("tunewright", "litserve", "bentoml")
CALLERS, WARM_UP_SECONDS, START_SECONDS = 32, 3.0, 120.0
COMPARED = 100


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--bundle", type=Path, help="a bundle with one target of kind classify")
    options.add_argument("--other", type=Path, help="another one, for the switch; default: no switch")
    options.add_argument("--restart", action="store_true", help="measure the restart of two processes, too")
    options.add_argument("--rounds", type=int, default=3, help="0 = only switch and restart")
    options.add_argument("--seconds", type=float, default=60.0)
    options.add_argument("--callers", type=int, default=CALLERS)
    options.add_argument("--peer-batch", type=int, default=32, help="largest batch of the peers; 1 = none")
    options.add_argument("--load", help=argparse.SUPPRESS)
    chosen = options.parse_args()
    if chosen.load:
        return print(json.dumps(asyncio.run(load(json.loads(chosen.load)))))
    if not chosen.bundle:
        options.error("--bundle is needed")
    if chosen.quick:
        chosen.seconds, chosen.rounds = 2.0, 1
    os.environ["PEER_BATCH"] = str(chosen.peer_batch)
    python = peers(*PACKAGES, *ours("onnxruntime", "tokenizers", "numpy"), constrained=False)
    if chosen.rounds:
        compare_labels(chosen.bundle, python)
    rounds = [
        {side: one_side(side, chosen.bundle, python, chosen) for side in SIDES[at % 3 :] + SIDES[: at % 3]}
        for at in range(chosen.rounds)
    ]
    changes = {}
    if chosen.other:
        changes["switch"] = switched(chosen)
    if chosen.restart:
        changes["restart"] = restarted(chosen)
    rows = data("banking77/test.csv")
    note = (
        f"n = {len(rounds)} rounds of {chosen.seconds:g} s, {chosen.callers} callers, batches of the peers up to "
        f"{chosen.peer_batch} (test.csv {short(digest(rows))}); medians, smallest–largest; the labels of {COMPARED} "
        f"texts are equal; {of_bundle(show(chosen.bundle))}"
    )
    for name, told in changes.items():
        note += (
            f". {name}: {told['requests']:,} requests, {told['lost']} lost, p99 {told['p99_ms']:.0f} ms{told['say']}"
        )
    head = ("side", "requests/s", "p50 ms", "p99 ms", "server CPU ms a request", "errors", "× tunewright", "target")
    report(chosen, head, [row(side, rounds) for side in SIDES if rounds], note, {"rounds": rounds, **changes})
    return None


def row(side: str, rounds: Sequence[dict[str, dict[str, Any]]]) -> tuple[str, ...]:
    own = {name: [one[side][name] for one in rounds] for name in ("rate", "p50_ms", "p99_ms", "cpu_ms")}
    faster = [one["tunewright"]["rate"] / one[side]["rate"] for one in rounds]
    tail = [one["tunewright"]["p99_ms"] / one[side]["p99_ms"] for one in rounds]
    errors = sum(one[side]["lost"] for one in rounds)
    cells = [f"{median(values):,.1f} ({spread(values, 1)})" for values in own.values()]
    if side == "tunewright":
        return side, *cells, str(errors), "", ""
    target = f"rate {held(median(faster), '≥ 2')}, p99 {held(median(tail), '≤ 0.5')}"
    ratio = f"rate {median(faster):.2f} ({spread(faster)}), p99 {median(tail):.2f} ({spread(tail)})"
    return side, *cells, str(errors), ratio, target


# --- the sides ---


@contextmanager
def running(side: str, bundle: Path, python: Path, *words: str) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """A side that answers; it and all that it started are gone afterwards."""
    port = free_port()
    commands = {
        "tunewright": [Path(sys.executable), "-c", "from tunewright.cli import main; main()", "serve", bundle, *words],
        "litserve": [python, "_service_peers.py", "litserve", bundle, str(port)],
        "bentoml": [python, "-m", "bentoml", "serve", "_service_peers:Bento", "--host", "127.0.0.1"],
    }
    command = [*commands[side], *([] if side == "litserve" else ["--port", str(port)])]
    told = environment() | {"BENTOML_DO_NOT_TRACK": "True"} | ({"BUNDLE": str(bundle)} if side == "bentoml" else {})
    quiet = subprocess.DEVNULL
    process = subprocess.Popen(command, cwd=HERE, env=told, stdout=quiet, stderr=quiet)
    try:
        wait_for(side, process, port)
        weigh_alike(process.pid)
        yield process, port
    finally:
        started = family(process.pid)
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(20)
        for pid in started:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        process.wait()


def stats() -> Iterator[tuple[int, list[str]]]:
    """Of each process that lives: its id, and the fields of ``/proc/PID/stat`` from the state on."""
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            yield int(path.parent.name), path.read_text().rpartition(")")[2].split()


def family(pid: int) -> list[int]:
    """A process and all that it started, and those did."""
    parents = {child: int(fields[1]) for child, fields in stats()}
    found = [pid]
    for one in found:
        found += [child for child, parent in parents.items() if parent == one]
    return found


def weigh_alike(pid: int) -> None:
    """Give sessions that a side has made for itself the weight of this one: Linux shares processors by sessions."""
    with suppress(OSError):
        nice = Path("/proc/self/autogroup").read_text().split()[-1]
        for one in family(pid):
            Path(f"/proc/{one}/autogroup").write_text(nice)


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def wait_for(side: str, process: subprocess.Popen[bytes], port: int) -> None:
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end and process.poll() is None:
        try:
            label(side, port, "where is my card?")
            return
        except OSError:
            time.sleep(0.2)
    raise SystemExit(f"{side} did not start")


def body_of(side: str, text: str) -> bytes:
    told: dict[str, Any] = {"tunewright": {"inputs": [text]}, "litserve": {"text": text}, "bentoml": {"texts": [text]}}
    return json.dumps(told[side]).encode()


def label(side: str, port: int, text: str) -> str:
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/predict", body_of(side, text), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=60) as response:
        told = json.load(response)
    found = told["predictions"][0] if side == "tunewright" else told[0] if side == "bentoml" else told
    return str(found["label"])


def compare_labels(bundle: Path, python: Path) -> None:
    texts = [record["text"] for record in records(data("banking77/test.csv"))[:COMPARED]]
    found = {}
    for side in SIDES:
        with running(side, bundle, python) as (_, port):
            found[side] = [label(side, port, text) for text in texts]
    for side, labels in found.items():
        different = [at for at, (one, own) in enumerate(zip(labels, found["tunewright"], strict=True)) if one != own]
        if different:
            raise SystemExit(f"{side} and tunewright differ in {len(different)} texts, the first is {different[0]}")


def one_side(side: str, bundle: Path, python: Path, chosen: argparse.Namespace) -> dict[str, Any]:
    with running(side, bundle, python) as (process, port):
        finish(callers(side, port, WARM_UP_SECONDS, chosen.callers))
        before = cpu_seconds(process.pid)
        told = finish(callers(side, port, chosen.seconds, chosen.callers))
        spent = cpu_seconds(process.pid) - before
    return {**told, "cpu_ms": spent / max(told["requests"], 1) * 1000}


def cpu_seconds(pid: int) -> float:
    """Of a process and all that it started, as far as they live."""
    own = set(family(pid))
    ticks = sum(int(fields[11]) + int(fields[12]) for one, fields in stats() if one in own)
    return ticks / os.sysconf("SC_CLK_TCK")


# --- changes under load ---


def switched(chosen: argparse.Namespace) -> dict[str, Any]:
    """A quarter of the time with one bundle, then with another in its place."""
    seconds = max(chosen.seconds, 20.0)  # to load it under this load takes some
    with tempfile.TemporaryDirectory() as name:
        place, wanted = Path(name) / "served", show(chosen.other)["digest"]
        shutil.copytree(chosen.bundle, place)
        shutil.copytree(chosen.other, Path(name) / "new")
        with running("tunewright", place, Path()) as (process, port):
            asked = callers("tunewright", port, seconds, chosen.callers)
            time.sleep(seconds / 4)
            place.rename(Path(name) / "old")
            (Path(name) / "new").rename(place)
            process.send_signal(signal.SIGHUP)
            told = finish(asked)
    if wanted not in told["bundles"] or told["last"] != wanted:
        raise SystemExit(f"the new bundle was not served: {told}")
    shares = " and ".join(f"{count:,}" for count in told["bundles"].values())
    return {**told, "say": f", answered by one bundle and by the other: {shares}"}


def restarted(chosen: argparse.Namespace) -> dict[str, Any]:
    """Two processes at one port, each replaced by a new one in the midst of the load."""
    with running("tunewright", chosen.bundle, Path(), "--processes", "2") as (process, port):
        asked = callers("tunewright", port, chosen.seconds, chosen.callers, again=True)
        time.sleep(chosen.seconds / 4)
        process.send_signal(signal.SIGHUP)
        return {**finish(asked), "say": ", two processes replaced one by one"}


# --- the callers, in a process of their own ---


def callers(side: str, port: int, seconds: float, count: int, *, again: bool = False) -> subprocess.Popen[str]:
    """again : a connection that the service closes between two requests is opened again, as clients do"""
    told = {"side": side, "port": port, "seconds": seconds, "callers": count, "again": again}
    command = [sys.executable, __file__, "--load", json.dumps(told)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment())


def finish(asked: subprocess.Popen[str]) -> dict[str, Any]:
    out, _ = asked.communicate()
    if asked.returncode:
        raise SystemExit("the callers failed")
    told: dict[str, Any] = json.loads(out)
    return told


async def load(told: dict[str, Any]) -> dict[str, Any]:
    """All callers, for so many seconds."""
    texts = [record["text"] for record in records(data("banking77/test.csv"))]
    bodies = [body_of(told["side"], text) for text in texts]
    end = time.monotonic() + told["seconds"]
    started = time.monotonic()
    found = await asyncio.gather(*(call(told, bodies[at :: told["callers"]], end) for at in range(told["callers"])))
    seconds = time.monotonic() - started
    taken = sorted(one for each, _, _ in found for one in each)
    bundles = Counter(bundle for _, seen, _ in found for bundle in seen)
    return {
        "requests": len(taken),
        "rate": len(taken) / seconds,
        "p50_ms": taken[len(taken) // 2] * 1000,
        "p99_ms": taken[int(len(taken) * 0.99)] * 1000,
        "lost": sum(lost for _, _, lost in found),
        "bundles": bundles,
        "last": next((seen[-1] for _, seen, _ in found if seen), ""),
    }


async def call(told: dict[str, Any], bodies: Sequence[bytes], end: float) -> tuple[list[float], list[str], int]:
    """One caller: seconds of each request, digests of the bundles that answered, requests without a 200."""
    head = f"POST /predict HTTP/1.1\r\nHost: 127.0.0.1:{told['port']}\r\nContent-Type: application/json\r\n"
    seconds: list[float] = []
    seen: list[str] = []
    lost = at = 0
    reader, writer = await asyncio.open_connection("127.0.0.1", told["port"])
    while time.monotonic() < end:
        body = bodies[at % len(bodies)]
        at += 1
        started = time.monotonic()
        try:
            writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
            answer, closes, status = await read(reader)
        except (OSError, EOFError):
            lost += 1
            closes, status, answer = True, 0, b""
        seconds.append(time.monotonic() - started)
        if status == 200 and told["side"] == "tunewright":
            seen.append(json.loads(answer)["bundle"])
        elif status != 200 and status:
            lost += 1
        if closes:
            writer.close()
            reader, writer = await asyncio.open_connection("127.0.0.1", told["port"])
    writer.close()
    return seconds, seen, lost


async def read(reader: asyncio.StreamReader) -> tuple[bytes, bool, int]:
    """Body, whether the connection ends with it, and status."""
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    length = int(head.partition(b"content-length:")[2].partition(b"\r\n")[0])
    return await reader.readexactly(length), b"connection: close" in head, int(head[9:12])


if __name__ == "__main__":
    main()
