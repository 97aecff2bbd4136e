"""What the benchmarks share: a child process with its time, CPU and memory; where the data lie; the table and the JSON.

Standard library only: a child starts as a copy of its parent, and what the parent has in memory at that moment counts
into the child's peak RSS. A parent with numpy or torch loaded would spoil the figures.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
LOAD_AT_START = os.getloadavg()[0]
LIBRARIES = ("tunewright", "onnxruntime", "numpy", "polars", "tokenizers", "torch", "transformers", "scikit-learn")


@dataclass(frozen=True)
class Child:
    """One finished process. CPU and memory are those of the process and of all that it started and waited for."""

    wall_s: float
    cpu_s: float
    peak_rss_bytes: int
    stdout: str

    @property
    def figures(self) -> dict[str, float]:
        return {name: value for name, value in asdict(self).items() if name != "stdout"}


def environment() -> dict[str, str]:
    """The environment of every child: no network, and OpenBLAS left to choose by itself."""
    spoiling = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")  # they slow numpy down where they do not fit the processor
    kept = {name: value for name, value in os.environ.items() if name not in spoiling}
    offline = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1"}
    quiet = {"TRANSFORMERS_VERBOSITY": "error", "HF_HUB_DISABLE_PROGRESS_BARS": "1"}
    return kept | offline | quiet


def settle() -> None:
    """Give this process the environment of a child; called before numpy is loaded."""
    told = environment()
    os.environ.clear()
    os.environ.update(told)


def child(*command: str | Path) -> Child:
    """Run a command to its end; a failure ends the benchmark with what the command said."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        start = time.perf_counter()
        process = subprocess.Popen([str(word) for word in command], stdout=out, stderr=err, env=environment())
        _, status, usage = os.wait4(process.pid, 0)
        wall_s = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            err.seek(0)
            said = err.read().decode(errors="replace")[-2000:]
            raise SystemExit(f"exit code {process.returncode}: {' '.join(map(str, command))}\n{said}")
        out.seek(0)
        stdout = out.read().decode()
    return Child(wall_s, usage.ru_utime + usage.ru_stime, peak_rss_bytes(usage.ru_maxrss), stdout)


def peak_rss_bytes(maxrss: int) -> int:
    """``ru_maxrss`` in bytes: Linux counts KiB."""
    return maxrss if sys.platform == "darwin" else maxrss * 1024


def python(code: str, *arguments: str | Path) -> Child:
    return child(sys.executable, "-c", code, *arguments)


def tunewright(*arguments: str | Path) -> Child:
    """The installed command, which lies beside this Python."""
    return child(Path(sys.executable).with_name("tunewright"), *arguments)


def fit(out: Path, train: Path, *arguments: str | Path) -> tuple[Child, dict[str, Any]]:
    """``tunewright fit`` in a process of its own, and what ``show --json`` says of its bundle."""
    done = tunewright("fit", train, *arguments, "--out", out, "--quiet")
    return done, show(out)


def peers(*packages: str, constrained: bool = True) -> Path:
    """The Python of an environment that holds the peers of a comparison, made at first use; ours is not touched.

    constrained : everything in our versions; False where a peer needs others, and then what both run on is named with
        its version among the packages, see ``ours``
    """
    name = hashlib.sha256(" ".join(packages).encode()).hexdigest()[:12]
    folder = Path("~/.cache/tunewright/peers").expanduser() / name
    interpreter = folder / "bin" / "python"
    if not (folder / "ready").exists():
        print(f"installing {', '.join(packages)} into {folder}", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
        pip = [interpreter, "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
        limits = ["-c", ROOT / "constraints.txt"] if constrained else []
        subprocess.run([*pip, *limits, *packages], check=True)
        (folder / "ready").touch()
    return interpreter


def ours(*names: str) -> tuple[str, ...]:
    """Packages in the versions that this Python has."""
    return tuple(f"{name}=={version(name)}" for name in names)


class Worker:
    """A process of a benchmark that loads once and then answers questions, a line of JSON each."""

    def __init__(
        self, script: str, *arguments: str | Path, interpreter: str | Path = sys.executable, threads: int = 2
    ) -> None:
        settings = dict.fromkeys(("OMP_NUM_THREADS", "RAYON_NUM_THREADS"), str(threads))
        command = [str(interpreter), script, "--worker", *map(str, arguments)]
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, env=environment() | settings)

    def ask(self, question: Any) -> Any:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(question) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"a worker stopped: {self.process.args!r}")
        return json.loads(line)

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()


def answer(ask: Callable[[Any], dict[str, Any]]) -> None:
    """The life of a worker: a question in, an answer out; what libraries print goes to standard error."""
    out, sys.stdout = sys.stdout, sys.stderr
    for line in sys.stdin:
        print(json.dumps(ask(json.loads(line))), file=out, flush=True)


class Clock:
    """CPU and wall time of this process; stands still inside ``with clock``."""

    def __init__(self) -> None:
        self.wall, self.cpu = time.perf_counter(), time.process_time()

    def read(self) -> dict[str, float]:
        return {"wall_s": time.perf_counter() - self.wall, "cpu_s": time.process_time() - self.cpu}

    def __enter__(self) -> None:
        self.stood = self.read()

    def __exit__(self, *error: object) -> None:
        self.wall = time.perf_counter() - self.stood["wall_s"]
        self.cpu = time.process_time() - self.stood["cpu_s"]


def show(bundle: Path) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(tunewright("show", bundle, "--json").stdout)
    return told


def data(name: str) -> Path:
    """A file or folder of the real data."""
    path = Path(os.environ.get("TUNEWRIGHT_DATA", ROOT.parent / "shared" / "data")) / name
    if not path.exists():
        raise SystemExit(f"{path}: there is no such data → set TUNEWRIGHT_DATA")
    return path


def digest(path: Path) -> str:
    with path.open("rb") as file:
        return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"


def records(path: Path) -> list[dict[str, str]]:
    """The rows of a csv file with a header."""
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def sampled(source: Path, folder: Path, rows: int) -> Path:
    """About so many rows, evenly spaced, in a file of the same name: what ``--quick`` reads."""
    target = folder / source.name
    with source.open(encoding="utf-8-sig", newline="") as given, target.open("w", encoding="utf-8", newline="") as file:
        if source.suffix == ".csv":
            head, *body = csv.reader(given)
            csv.writer(file).writerows([head, *body[:: max(1, len(body) // rows)]])
        else:
            lines = given.readlines()
            file.writelines(lines[:: max(1, len(lines) // rows)])
    return target


def parser(doc: str | None) -> argparse.ArgumentParser:
    out = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    out.add_argument("--quick", action="store_true", help="a tiny size, only to show that the script works")
    out.add_argument("--json", type=Path, metavar="FILE", help="write all raw figures here")
    return out


def _installed(name: str) -> bool:
    try:
        version(name)
    except PackageNotFoundError:  # a plain installation lacks the peers
        return False
    return True


def report(
    options: argparse.Namespace, head: Sequence[str], rows: Iterable[Sequence[str]], note: str, raw: Mapping[str, Any]
) -> None:
    """Print the block for docs/benchmarks.md, and write the raw figures where ``--json`` says."""
    command = " ".join(["python", *(os.path.relpath(sys.argv[0], ROOT), *sys.argv[1:])])
    print(f"`{command}`\n")
    print(table(head, rows))
    if options.quick:
        print("**`--quick`: these figures only show that the script works.**\n")
    versions = {"python": platform.python_version(), **{name: version(name) for name in LIBRARIES if _installed(name)}}
    machine = {"processor": processor(), "cpus": cpus(), "system": platform.system(), "load": round(LOAD_AT_START, 2)}
    print(f"{note}.")
    print(f"{machine['processor']}, {machine['cpus']} CPUs, {machine['system']}, load {machine['load']} at the start;")
    print(", ".join(f"{name} {number}" for name, number in versions.items()) + ".")
    if options.json:
        told = {"command": command, "quick": options.quick, "machine": machine, "versions": versions, "figures": raw}
        options.json.write_text(json.dumps(told, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def held(value: float, limit: str) -> str:
    """A limit, and whether it holds: ``≤ 300: met``."""
    sign, number = limit.split()
    met = value <= float(number) if sign == "≤" else value >= float(number)
    return f"{limit}: {'met' if met else 'MISSED'}"


def measured(metric: Mapping[str, Any]) -> str:
    """A metric of ``show --json`` with its interval."""
    return f"{metric['value']:.4f} ({metric['low']:.4f}–{metric['high']:.4f})"


def spread(values: Sequence[float], digits: int = 2) -> str:
    """Smallest to largest."""
    return f"{min(values):.{digits}f}–{max(values):.{digits}f}"


def short(digest: str) -> str:
    return digest[:19]


def of_bundle(told: Mapping[str, Any]) -> str:
    """Where a bundle comes from, in one line."""
    data, fit = told["data"], told["fit"]
    return (
        f"bundle {short(told['digest'])}: {told['method']} on {told['backbone']}, seed {fit['seed']}, "
        f"{data['train_rows']:,} training rows, data {short(data['digest'])}"
    )


def cpus() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:  # macOS
        return platform.processor() or platform.machine()
    return next((line.partition(": ")[2] for line in lines if line.startswith("model name")), platform.machine())
