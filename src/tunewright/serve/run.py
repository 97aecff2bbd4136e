"""Serve: bundles in folders → a service that listens until it is told to stop."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tunewright.core.errors import MissingExtra, TunewrightError
from tunewright.monitor.events import Sink
from tunewright.serve.access.access import Access
from tunewright.serve.handed import handed
from tunewright.serve.limits import Limits


def serve(
    folders: Sequence[Path],
    host: str = "127.0.0.1",
    port: int = 8080,
    limits: Limits | None = None,
    sink: Sink | None = None,
    *,
    parent: Path | None = None,
    keys: Path | None = None,
    without_keys: bool = False,
    hosts: Sequence[str] = (),
    processes: int = 1,
    admins: Collection[str] = (),
) -> None:
    """Load bundles and answer for them until SIGTERM or Ctrl-C; what is under way then is finished.

    On SIGHUP the folders are looked at again, see ``folders.py``; several processes are replaced one by one. A socket
    that systemd hands over is used in place of host and port.

    Parameters
    ----------
    folders : bundles; the first one also answers ``POST /predict``
    host : address to listen at; the loopback unless told otherwise
    port : 0 = a free one
    parent : a folder whose folders are bundles, too
    keys, without_keys, hosts : as for ``Access.at``; the environment may name the keys, too
    processes : that answer at the same address
    admins : names of keys whose holders may reread and unload bundles over HTTP

    Raises
    ------
    TunewrightError
        A bundle cannot be loaded, two have one name, the port is in use, anybody in the network could ask, or the
        extra ``serve`` is missing.
    """
    listen = _needing_extra("listen")  # before the bundles are loaded: what can be refused at once is refused at once
    limits = limits or Limits()
    told: dict[str, Any] = {"keys": keys, "hosts": tuple(hosts), "without_keys": without_keys}
    _check_processes(processes, sink, admins)
    with handed() or listen.bound(host, port) as taken:
        address = taken.getsockname()
        access = Access.at(address[0] if isinstance(address, tuple) else "", **told)
        if processes == 1:
            loaded = _needing_extra("folders").Folders(folders, parent, limits.pass_threads())
            extend = _admin(loaded, access, admins)
            listen.listen(loaded.registry, taken, limits, sink, access, reread=loaded.reread, extend=extend)
        else:
            plain = told | {"keys": str(keys) if keys else None}
            _needing_extra("processes").supervise(list(folders), parent, taken, processes, asdict(limits), plain)


def _admin(folders: Any, access: Access, names: Collection[str]) -> Callable[[Any], None] | None:
    """What adds the admin routes, where somebody is named who may use them."""
    if not names:
        return None
    if access.keys is None:
        raise TunewrightError("--admin names keys, and callers need none here", "pass --keys keys.txt, too")
    admin = _needing_extra("admin")
    return lambda app: admin.add(app, folders, admin.holders(names))


def _check_processes(processes: int, sink: Sink | None, admins: Collection[str]) -> None:
    if processes < 1:
        raise TunewrightError(f"{processes} processes cannot serve", "pass --processes 1 or more")
    if processes > 1 and sink is not None:
        raise TunewrightError(
            "a sink is one object, which several processes cannot share", "serve in one process, or without the sink"
        )
    if processes > 1 and admins:
        raise TunewrightError(
            "--admin reaches one process, and there are several", "send SIGHUP, which replaces all, or --processes 1"
        )


def _needing_extra(name: str) -> Any:
    try:
        return importlib.import_module(f"tunewright.serve.{name}")
    except ModuleNotFoundError as error:
        if error.name and error.name.partition(".")[0] != "tunewright":
            raise MissingExtra("`tunewright serve`", error.name, "serve") from error
        raise
