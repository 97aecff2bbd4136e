"""Serve: bundles in folders → a service that listens until it is told to stop."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tunewright.core.errors import MissingExtra
from tunewright.monitor.events import Sink
from tunewright.runtime.threads import available
from tunewright.serve.limits import Limits


def serve(
    folders: Sequence[Path],
    host: str = "127.0.0.1",
    port: int = 8080,
    limits: Limits | None = None,
    sink: Sink | None = None,
    parent: Path | None = None,
) -> None:
    """Load bundles and answer for them until SIGTERM or Ctrl-C; what is under way then is finished.

    On SIGHUP the folders are looked at again, see ``folders.py``.

    Parameters
    ----------
    folders : bundles; the first one also answers ``POST /predict``
    host : address to listen at; the loopback unless told otherwise
    port : 0 = a free one
    parent : a folder whose folders are bundles, too

    Raises
    ------
    TunewrightError
        A bundle cannot be loaded, two have one name, the port is in use, or the extra ``serve`` is missing.
    """
    listen = _listening()  # before the bundles are loaded: what can be refused at once is refused at once
    limits = limits or Limits()
    with listen.bound(host, port) as taken:
        # Passes side by side, each by a part of the processors, do more than one pass by all of them.
        threads = max(1, available() // limits.threads)
        loaded = importlib.import_module("tunewright.serve.folders").Folders(folders, parent, threads)
        listen.listen(loaded.registry, taken, limits, sink, loaded.reread)


def _listening() -> Any:
    try:
        return importlib.import_module("tunewright.serve.listen")
    except ModuleNotFoundError as error:
        if error.name and error.name.partition(".")[0] != "tunewright":
            raise MissingExtra("`tunewright serve`", error.name, "serve") from error
        raise
