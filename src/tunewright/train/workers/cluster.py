"""Ray: started on this machine for one command, or a cluster that runs already."""

from __future__ import annotations

import logging
import os
import re
import shutil
import signal
import socket
import tempfile
import threading
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress

import ray

from tunewright.core.errors import TunewrightError

QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.5",
    "RAY_TRAIN_METRICS_ENABLED": "0",
    "RAY_TRAIN_ENABLE_PREEMPTION_WATCHER": "0",
    "RAY_worker_niceness": "0",
}
"""Nothing is sent to anyone, GPUs are left as they are, a dead worker is soon noticed, and all have one priority."""
WAITS = {
    "RAY_CLIENT_INITIAL_CONNECTION_TIMEOUT_S": "4",
    "RAY_CLIENT_MAX_CONNECTION_TIMEOUT_S": "6",
    "GRPC_ENABLE_FORK_SUPPORT": "0",
}
"""Three attempts, some 16 seconds in all; no word of gRPC about forks. Both libraries read this once, when imported."""
SECONDS = 10.0
"""In which the address must take a connection at all."""
STORE_BYTES = 80 * 2**20
"""Of Ray's own memory for objects: what is large goes through files."""
ADDRESS = re.compile(r"(?:ray://)?(?P<host>[^:/\s]+|\[[0-9a-fA-F:]+\]):(?P<port>\d{1,5})")


@contextmanager
def opened(address: str | None, workers: int) -> Iterator[str]:
    """Connect to the cluster at ``address``, or start Ray here for so many workers and stop it at the end.

    Where this process is connected already, that connection is used, and left as it is.

    Yields
    ------
    What to call the place

    Raises
    ------
    TunewrightError
        There is no cluster at the address, it does not answer, or it does not let us in.
    """
    if ray.is_initialized():
        yield f"the Ray that is connected already, with {_cpus():g} CPUs"
        return
    opener = _started(workers) if address is None else _reached(address)
    with opener as place:
        yield place


def room(workers: int) -> float:
    """CPUs that each of so many workers may ask for: one, or hardly any where there are fewer CPUs than workers."""
    return 1.0 if _cpus() >= workers else 0.001


@contextmanager
def _started(workers: int) -> Iterator[str]:
    folder = tempfile.mkdtemp(prefix="tunewright-ray-")
    try:
        with _quiet(QUIET):
            try:
                ray.init(
                    address="local",
                    num_cpus=workers,
                    include_dashboard=False,
                    log_to_driver=False,
                    configure_logging=False,
                    object_store_memory=STORE_BYTES,
                    _temp_dir=folder,
                )
            except Exception as error:  # whatever its parts raise: there is no Ray here
                problem = f"Ray could not be started here: {_line(error)}"
                raise TunewrightError(problem, "start the command again, or with --workers 1") from error
            yield f"a local Ray for {workers} workers"
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _reached(address: str) -> Iterator[str]:
    found = ADDRESS.fullmatch(address)
    if found is None or int(found["port"]) > 65535:
        raise TunewrightError(f"--cluster {address!r} is no address", "write for example --cluster ray://HOST:10001")
    remedy = "start it there with `ray start --head`, and check host, port and firewall"
    try:
        socket.create_connection((found["host"].strip("[]"), int(found["port"])), timeout=SECONDS).close()
    except OSError as error:
        raise TunewrightError(f"--cluster {address}: no cluster answers there: {_line(error)}", remedy) from None
    with _quiet(QUIET | WAITS):
        try:
            with warnings.catch_warnings(action="ignore"):
                _take_token()
                ray.init(address, log_to_driver=False, configure_logging=False)
        except Exception as error:  # of Ray, of gRPC, of an authentication: all mean that it does not let us in
            raise TunewrightError(
                f"--cluster {address}: it cannot be used: {_line(error)}",
                "run the same versions of Python and Ray there and here, with the same token (docs/workers.md)",
            ) from error
        yield f"the cluster at {address}, with {_cpus():g} CPUs"


def _take_token() -> None:
    """Show the token, where this machine has one: at ray:// Ray does so only when it is told to."""
    with suppress(ImportError):
        from ray._private.authentication import authentication_token_setup as setup

        setup.maybe_enable_token_auth_if_token_available(warn_if_disabled=False)


def _cpus() -> float:
    return float(ray.cluster_resources().get("CPU", 0.0))


def _line(error: BaseException) -> str:
    """What an error says, in one line."""
    said = str(error).strip() or type(error).__name__
    return said.splitlines()[0][:300]


@contextmanager
def _quiet(variables: Mapping[str, str]) -> Iterator[None]:
    """Ray without its own words, and everything that it changes in this process as it was afterwards.

    variables : of the environment, which its processes inherit; those that are set stay as they are
    """
    from ray._private import worker

    log, level = logging.getLogger("ray"), logging.getLogger("ray").level
    said, before = getattr(worker, "print_to_stdstream", None), dict(os.environ)
    main = threading.current_thread() is threading.main_thread()
    on_sigterm = signal.getsignal(signal.SIGTERM) if main else None
    log.setLevel(logging.ERROR)
    # Messages of its daemons would go to standard output, where answers of this program go.
    worker.print_to_stdstream = lambda *arguments, **named: None
    os.environ.update({name: value for name, value in variables.items() if name not in before})
    try:
        yield
    finally:
        ray.shutdown()
        log.setLevel(level)
        worker.print_to_stdstream = said
        for name in set(os.environ) - set(before):
            del os.environ[name]
        if on_sigterm is not None:
            signal.signal(signal.SIGTERM, on_sigterm)
