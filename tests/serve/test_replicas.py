"""Replicas of Ray Serve: the same API, and one that is killed under load costs its callers no answer."""

from __future__ import annotations

import os
import shutil
import socket
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ray = pytest.importorskip("ray")
serve = pytest.importorskip("ray.serve")

from tunewright.client import Client  # noqa: E402  (Ray may be missing)
from tunewright.core.errors import TunewrightError  # noqa: E402
from tunewright.serve.access.keys import append  # noqa: E402
from tunewright.serve.replicas import build  # noqa: E402

BUNDLE = Path(__file__).resolve().parents[1] / "runtime" / "bundles" / "format-2"
QUIET = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0", "RAY_AUTH_MODE": "disabled"}


@pytest.mark.parametrize(
    ("args", "problem"),
    [
        ({}, "no bundle is named → pass bundles="),
        ({"bundles": "a"}, "callers need no key → make one"),
        (
            {"bundles": "a", "no_keys": "true", "replica": "2"},
            "there is no argument 'replica' → did you mean 'replicas'",
        ),
        ({"bundles": "a", "no_keys": "true", "replicas": "two"}, "replicas=two is no whole number"),
        ({"bundles": "a", "no_keys": "true", "cpus": "x"}, "cpus=x is no number"),
        ({"bundles": "a", "no_keys": "true", "batch_rows": "0"}, "the limit batch_rows = 0 is too small"),
        ({"bundles": "a", "keys": "/nowhere"}, "the keys file /nowhere cannot be read"),
    ],
)
def test_arguments_that_do_not_fit_are_refused_before_a_replica_starts(
    args: dict[str, str], problem: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("TUNEWRIGHT_KEYS", "TUNEWRIGHT_KEYS_FILE"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(TunewrightError, match=problem):
        build(args)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """Address and key of two replicas on a Ray of this machine."""
    keys = tmp_path_factory.mktemp("keys") / "keys.txt"
    key = append(keys, "tests")
    folder = tempfile.mkdtemp(prefix="tunewright-ray-")  # a short path: sockets lie in it
    with pytest.MonkeyPatch.context() as patch, socket.socket() as free:
        for name, value in QUIET.items():
            patch.setenv(name, value)
        sources = str(Path(build.__code__.co_filename).parents[2])
        patch.setenv("PYTHONPATH", os.pathsep.join([sources, os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep))
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        free.close()
        ray.init(
            address="local", num_cpus=3, include_dashboard=False, log_to_driver=False, configure_logging=False,
            object_store_memory=80 * 2**20, _temp_dir=folder,
        )  # fmt: skip
        try:
            serve.start(http_options={"host": "127.0.0.1", "port": port})
            app = build({"bundles": str(BUNDLE), "keys": str(keys), "replicas": "2", "cpus": "0.1"})
            serve.run(app, name="tunewright", route_prefix="/")
            yield f"http://127.0.0.1:{port}", key
        finally:
            serve.shutdown()
            ray.shutdown()
            shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.slow
@pytest.mark.filterwarnings("default::DeprecationWarning", "default::ResourceWarning", "default::FutureWarning")
@pytest.mark.filterwarnings("default::pytest.PytestUnraisableExceptionWarning")
def test_one_of_two_replicas_is_killed_under_load_and_every_call_is_answered(cluster: tuple[str, str]) -> None:
    address, key = cluster
    with Client(address, key, timeout=120) as client:
        assert [one.inputs for one in client.bundles()] == [{"text": "text"}]
        expected = client.predict(["where is my order?"], error=0)[0].label
        with pytest.raises(TunewrightError, match="the key is not known here"), Client(address, "wrong") as stranger:
            stranger.predict(["a"])

        answers: list[str | None] = []
        errors: list[Exception] = []
        over = threading.Event()

        def ask() -> None:
            while not over.is_set():
                try:
                    answers.append(client.predict(["where is my order?"], error=0)[0].label)
                except Exception as error:
                    errors.append(error)

        callers = [threading.Thread(target=ask) for _ in range(4)]
        for one in callers:
            one.start()
        wait_for(lambda: len(answers) > 40)
        before = replicas()
        assert len(before) == 2
        ray.kill(ray.get_actor(min(before), namespace="serve"), no_restart=True)
        seen = len(answers)
        wait_for(lambda: len(answers) > seen + 40)
        wait_for(lambda: running() == 2 and min(before) not in replicas())  # another one took its place
        over.set()
        for one in callers:
            one.join()
    assert errors == []
    assert set(answers) == {expected}


def replicas() -> set[str]:
    return {one["name"] for one in ray.util.list_named_actors(all_namespaces=True) if "REPLICA" in one["name"]}


def running() -> int:
    states: Any = serve.status().applications["tunewright"].deployments["tunewright"].replica_states
    return int(states.get("RUNNING", 0))


def wait_for(condition: Any, seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)
