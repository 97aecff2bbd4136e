"""A listening socket that a supervisor such as systemd hands over: it stays open while the service restarts."""

from __future__ import annotations

import os
import socket
from collections.abc import MutableMapping

from tunewright.core.errors import TunewrightError

FIRST = 3
"""Descriptor of the first socket, by the protocol of ``sd_listen_fds``."""


def handed(environment: MutableMapping[str, str] = os.environ) -> socket.socket | None:
    """The socket that this process was given, None where it was given none.

    Raises
    ------
    TunewrightError
        There are several, or it takes no connections.

    Source: sd_listen_fds(3).
    """
    if environment.get("LISTEN_PID") != str(os.getpid()):
        return None
    count = environment.get("LISTEN_FDS", "")
    for name in ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"):  # a child is given none
        environment.pop(name, None)
    if count != "1":
        raise TunewrightError(f"{count or 'no'} sockets were handed over", "hand over exactly one (one ListenStream=)")
    try:
        return socket.socket(fileno=FIRST)
    except OSError as error:
        raise TunewrightError(
            f"descriptor {FIRST} is no socket ({error.strerror})", "hand over a socket, or unset LISTEN_FDS"
        ) from None
