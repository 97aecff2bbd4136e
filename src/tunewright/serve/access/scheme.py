"""What the API description says of keys."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI

from tunewright.serve.access.guard import HEALTH

SCHEME = {"type": "http", "scheme": "bearer", "description": "A key that `tunewright key NAME` made."}


def add_scheme(app: FastAPI) -> None:
    """Let ``/openapi.json`` ask for a key on every route but those of health."""
    plain = app.openapi

    def described() -> dict[str, Any]:
        told = plain()
        told.setdefault("components", {})["securitySchemes"] = {"key": SCHEME}
        told["security"] = [{"key": []}]
        for path in HEALTH & set(told["paths"]):
            for operation in told["paths"][path].values():
                operation["security"] = []
        return told

    app.openapi = described  # type: ignore[method-assign]
