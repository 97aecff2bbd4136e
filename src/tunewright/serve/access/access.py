"""Who may ask a service, and by which names; refused where anybody could."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from tunewright.core.errors import TunewrightError
from tunewright.serve.access.hosts import LOOPBACK, checked, is_loopback
from tunewright.serve.access.keys import Keys, found


@dataclass(frozen=True)
class Access:
    """Who may ask a service, and by which names.

    keys : callers need one of them; None = anybody who reaches the address may ask
    hosts : names that a request's Host may have; none = any. A web page whose name leads to the loopback (DNS
        rebinding) counts for a browser as the service's own, but it sends its own name
    """

    keys: Keys | None = None
    hosts: tuple[str, ...] = ()

    @classmethod
    def at(
        cls, address: str, keys: Path | str | None = None, hosts: Sequence[str] = (), *, without_keys: bool = False
    ) -> Self:
        """The access of a service that listens at an address.

        Parameters
        ----------
        address : what the socket is bound to
        keys : the keys file; default: what the environment says
        hosts : names in requests; default: those of the loopback where it listens there and asks for no key
        without_keys : somebody else, such as a proxy, asks who the callers are

        Raises
        ------
        TunewrightError
            Anybody in the network could ask and nobody said that this is meant, or the keys cannot be read.
        """
        alone = is_loopback(address)
        if without_keys and keys is not None:
            raise TunewrightError("--keys and --no-keys exclude each other", "pass one of them")
        known = None if without_keys else found(Path(keys) if keys else None)
        if known is None and not alone and not without_keys:
            raise TunewrightError(
                f"{address or 'the address'} is open to the network, and callers need no key",
                "make one (tunewright key NAME --file keys.txt) and pass --keys keys.txt; "
                "or --no-keys where a proxy asks who they are",
            )
        names = checked(hosts)
        return cls(known, names or (LOOPBACK if alone and known is None else ()))
