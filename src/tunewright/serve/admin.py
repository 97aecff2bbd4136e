"""The admin routes: look at the folders again, serve a bundle no longer. Only where somebody says who may do so."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection

from fastapi import FastAPI, Request

from tunewright.serve.folders import Folders
from tunewright.serve.problems import Problem, Refusal


def add(app: FastAPI, folders: Folders, allowed: Callable[[Request], None]) -> None:
    """Add ``POST /admin/reread`` and ``DELETE /admin/bundles/NAME``. Neither takes a path: folders are named at start.

    allowed : raises a ``Refusal`` where a request comes from somebody who may not
    """
    refused = {status: {"model": Problem} for status in (401, 403, 404, 409)}

    def told() -> dict[str, dict[str, str]]:
        return {"bundles": {name: one.digest for name, one in folders.registry.served.items()}}

    @app.post("/admin/reread", tags=["admin"], summary="Look at the folders again", responses=refused)  # type: ignore[arg-type]
    async def reread(request: Request) -> dict[str, dict[str, str]]:
        allowed(request)
        await asyncio.to_thread(folders.reread)
        return told()

    @app.delete("/admin/bundles/{name}", tags=["admin"], summary="Serve a bundle no longer", responses=refused)  # type: ignore[arg-type]
    async def unload(name: str, request: Request) -> dict[str, dict[str, str]]:
        allowed(request)
        folders.unload(name)
        return told()


def holders(names: Collection[str]) -> Callable[[Request], None]:
    """An ``allowed`` for ``add``: callers whose key has one of these names."""

    def allowed(request: Request) -> None:
        if getattr(request.state, "caller", None) not in names:
            raise Refusal(403, "this key may not change what is served", "use one that `serve --admin` names")

    return allowed
