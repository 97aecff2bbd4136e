"""One of several processes of a service: told what to serve on standard input, it listens at a socket it inherits."""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tunewright.serve.registry import Registry

READY = "ready"


@dataclass(frozen=True)
class Told:
    """What all processes of a service are told.

    limits, access : by the names of ``Limits`` and of ``Access.at``
    processes : how many share the processor
    """

    folders: list[str]
    parent: str | None
    limits: dict[str, Any]
    access: dict[str, Any]
    processes: int


def main() -> None:
    """Serve until a signal, or until the supervisor is gone.

    A line of JSON on standard output says that it is ready, or what hinders it.
    """
    from tunewright.core.errors import TunewrightError

    try:
        _serve(json.loads(sys.stdin.readline()))
    except TunewrightError as error:
        print(json.dumps({"problem": error.problem, "remedy": error.remedy}), flush=True)
        sys.exit(error.exit_code)


def _serve(told: Mapping[str, Any]) -> None:
    from tunewright.serve import metrics

    metrics.share(told["figures"], told["name"])  # before the first figure is made
    threading.Thread(target=_follow_supervisor, daemon=True).start()
    from tunewright.serve.access.access import Access
    from tunewright.serve.folders import Folders
    from tunewright.serve.limits import Limits
    from tunewright.serve.listen import listen

    parent = Path(told["parent"]) if told["parent"] else None
    limits = Limits(**told["limits"])
    folders = Folders([Path(one) for one in told["folders"]], parent, limits.pass_threads(told["processes"]))
    taken = socket.socket(fileno=told["descriptor"])
    address = taken.getsockname()
    access = Access.at(address[0] if isinstance(address, tuple) else "", **told["access"])
    ready = partial(_say_ready, folders.registry)
    listen(folders.registry, taken, limits, None, access, ready=ready)


def _say_ready(registry: Registry) -> None:
    print(json.dumps({"state": READY, "bundles": list(registry.served)}), flush=True)


def _follow_supervisor() -> None:
    """Standard input ends when the supervisor does, even if that was killed."""
    while sys.stdin.readline():
        pass
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    main()
