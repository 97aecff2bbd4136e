"""A Ray Serve application: the same API, answered by replicas on the machines of a cluster (extra ``ray``).

``serve run tunewright.serve.replicas:build bundles=/models/intents keys=/etc/tunewright/keys.txt replicas=4``
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from ray import serve

from tunewright.core.errors import TunewrightError, nearest
from tunewright.serve.access.access import Access
from tunewright.serve.folders import Folders
from tunewright.serve.http import application
from tunewright.serve.limits import Limits

ANYWHERE = "0.0.0.0"
"""A replica does not know where the cluster's proxies listen, so that it takes them to be open to the network."""
QUEUED = 1000
"""Requests that may wait in each proxy for a replica; more get a 503."""
NAMES = ("bundles", "keys", "no_keys", "hosts", "replicas", "cpus")


@serve.ingress()
class Replica:
    """One replica: bundles, loaded, and the application over them.

    Parameters
    ----------
    folders : bundles; each machine finds them at the same place
    access : by the names of ``Access.at``
    limits : by the names of ``Limits``; rates are those of one replica
    threads : of one prediction
    """

    def __init__(self, folders: list[str], access: Mapping[str, Any], limits: Mapping[str, Any], threads: int) -> None:
        self._access = Access.at(ANYWHERE, **access)
        self._limits = Limits(**limits)
        self._folders = Folders([Path(one) for one in folders], threads=threads)

    def __serve_build_asgi_app__(self) -> Any:
        return application(self._folders.registry, self._limits, None, self._access)


def build(args: Mapping[str, str]) -> Any:
    """The application, from the arguments of ``serve run``.

    bundles : folders, with commas between them; the first one also answers ``/predict``
    keys : the keys file; no_keys=true where somebody else asks who the callers are
    hosts : names that a request's Host may have, with commas
    replicas, cpus : how many, and the processors of each; both 1 by default
    and each limit by its name, such as ``rows_per_second``

    Raises
    ------
    TunewrightError
        An argument is unknown or does not fit, or there are neither keys nor ``no_keys``.
    """
    bounds = {one.name: one.type for one in fields(Limits)}
    for name in args:
        if name not in (*NAMES, *bounds):
            raise TunewrightError(f"there is no argument {name!r}", nearest(name, (*NAMES, *bounds)))
    folders = [one for one in args.get("bundles", "").split(",") if one]
    if not folders:
        raise TunewrightError("no bundle is named", "pass bundles=/models/intents")
    limits = {name: _number(name, args[name], whole=kind == "int") for name, kind in bounds.items() if name in args}
    access: dict[str, Any] = {
        "keys": args.get("keys"),
        "hosts": tuple(one for one in args.get("hosts", "").split(",") if one),
        "without_keys": args.get("no_keys", "false").lower() == "true",
    }
    Access.at(ANYWHERE, **access)  # what is refused is refused here, not by every replica over and over
    told = Limits(**limits)
    cpus = _number("cpus", args.get("cpus", "1"))
    deployment = serve.deployment(
        Replica,
        name="tunewright",
        num_replicas=_number("replicas", args.get("replicas", "1"), whole=True),
        ray_actor_options={"num_cpus": cpus},
        max_ongoing_requests=told.connections,  # its own queue says how much may wait
        max_queued_requests=QUEUED,
        graceful_shutdown_timeout_s=told.timeout_seconds + 5,
        health_check_period_s=2,
        health_check_timeout_s=10,
    )
    return deployment.bind(folders, access, limits, max(1, int(cpus)))


def _number(name: str, value: str, *, whole: bool = False) -> Any:
    try:
        return int(value) if whole else float(value)
    except ValueError:
        what = "whole number" if whole else "number"
        raise TunewrightError(f"{name}={value} is no {what}", f"pass for example {name}=2") from None
