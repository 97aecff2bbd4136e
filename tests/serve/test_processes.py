"""Several processes at one port: figures of all, one that dies, a change of all under load, a stop of all."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tunewright.core.errors import TunewrightError
from tunewright.monitor.events import NullSink
from tunewright.serve import run
from tunewright.serve.access.keys import append

COMMAND = [sys.executable, "-c", "from tunewright.cli import main; main()", "serve"]


@contextmanager
def service(bundle: Path, *words: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Two processes of a service: the supervisor and its address."""
    command = [*COMMAND, str(bundle), "--port", "0", "--processes", "2", *words]
    with (
        tempfile.NamedTemporaryFile("a") as log,  # all write at its end, wherever a reader stands
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True) as process,
    ):
        process.log = Path(log.name)  # type: ignore[attr-defined]
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert " at http://" in line, Path(log.name).read_text()
            yield process, line.split(" at http://")[1].split()[0]
        finally:
            process.terminate()
            process.wait(30)


def log_of(process: Any) -> list[Any]:
    whole = process.log.read_text().rpartition("\n")[0]
    return [json.loads(line) for line in whole.splitlines()]


def workers(process: Any) -> set[int]:
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    return set(map(int, children))


def get(address: str, path: str) -> str:
    with urllib.request.urlopen(f"http://{address}{path}", timeout=20) as response:
        return str(response.read().decode())


def count(address: str, name: str) -> float:
    lines = re.findall(rf"^{name}(?:{{.*}})? (\S+)$", get(address, "/metrics"), re.MULTILINE)
    return sum(map(float, lines))


def until(condition: Any, seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_one_that_is_killed_is_started_again_and_the_figures_are_those_of_all(static_folder: Path) -> None:
    with service(static_folder) as (process, address):
        before = workers(process)
        assert len(before) == 2
        for _ in range(20):  # a connection each, so that both get some
            get(address, "/healthz")
        healthy = 'tunewright_requests_total{method="GET",route="/healthz",status="200"}'
        assert count(address, re.escape(healthy)) == 20
        os.kill(min(before), signal.SIGKILL)
        until(lambda: len(workers(process) - before) == 1)
        for _ in range(10):
            assert json.loads(get(address, "/healthz")) == {"status": "ok"}
        until(lambda: count(address, re.escape(healthy)) == 30)  # what the dead one had counted is kept
        assert count(address, "tunewright_requests_under_way") == 1  # this one
        (died,) = [line for line in log_of(process) if line["message"] == "a process ended"]
        assert died["code"] == -signal.SIGKILL


def test_all_are_replaced_under_load_without_a_lost_request(static_folder: Path, callers: ModuleType) -> None:
    with service(static_folder) as (process, address):
        before = workers(process)
        with callers.Callers(address) as asking:
            until(lambda: len(asking.statuses) > 50)
            process.send_signal(signal.SIGHUP)
            until(lambda: any(line["message"] == "replaced" for line in log_of(process)), 60)
            seen = len(asking.statuses)
            until(lambda: len(asking.statuses) > seen + 50)
        assert asking.lost == []
        assert set(asking.statuses) == {200}
        assert not before & workers(process)
        assert len(workers(process)) == 2
        total = count(address, r'tunewright_requests_total\{method="POST",route="/predict",status="200"\}')
        assert total == len(asking.statuses)


def test_every_process_asks_for_the_keys(static_folder: Path, tmp_path: Path) -> None:
    key = append(tmp_path / "keys.txt", "tests")
    with service(static_folder, "--keys", str(tmp_path / "keys.txt")) as (_, address):
        asked = urllib.request.Request(f"http://{address}/v1/bundles", headers={"Authorization": f"Bearer {key}"})
        for _ in range(12):  # a connection each
            with urllib.request.urlopen(asked, timeout=20) as response:
                assert json.load(response)["bundles"][0]["name"] == "static"
            with pytest.raises(urllib.error.HTTPError, match="401"):
                get(address, "/v1/bundles")


def test_sigterm_ends_all_after_what_is_under_way(static_folder: Path) -> None:
    with service(static_folder) as (process, address):
        running = workers(process)
        assert json.loads(get(address, "/readyz")) == {"status": "ready"}
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
        assert not [pid for pid in running if Path(f"/proc/{pid}").exists()]


def test_none_outlives_a_supervisor_that_is_killed(static_folder: Path) -> None:
    with service(static_folder) as (process, _):
        running = workers(process)
        process.kill()
        until(lambda: not [pid for pid in running if Path(f"/proc/{pid}").exists()])


def test_a_bundle_that_cannot_be_loaded_is_an_error_as_with_one_process(tmp_path: Path) -> None:
    done = subprocess.run(
        [*COMMAND, str(tmp_path), "--port", "0", "--processes", "2"], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 2
    assert "there is no bundle (no bundle.json)" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("processes", "sink", "problem"),
    [(0, None, "0 processes cannot serve"), (2, NullSink(), "a sink is one object, which several processes")],
)
def test_what_several_processes_cannot_do_is_refused(processes: int, sink: Any, problem: str, tmp_path: Path) -> None:
    with pytest.raises(TunewrightError, match=problem):
        run.serve([tmp_path], port=0, sink=sink, processes=processes)
