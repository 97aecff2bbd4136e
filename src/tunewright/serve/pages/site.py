"""Routes of the pages, and their templates."""

from __future__ import annotations

from pathlib import Path

from fastapi import FastAPI, Response
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.staticfiles import StaticFiles

HERE = Path(__file__).parent
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'{images}; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def add(app: FastAPI) -> None:
    """Add ``/``, ``/docs`` and the files that they need. What they tell of the bundles they ask the API for."""
    environment = Environment(loader=FileSystemLoader(HERE / "templates"), autoescape=True, undefined=StrictUndefined)
    trial = environment.get_template("try.html").render()
    docs = environment.get_template("docs.html").render()

    async def try_page() -> Response:
        return _page(trial, POLICY.format(images=""))

    async def docs_page() -> Response:
        return _page(docs, POLICY.format(images=" data:"))  # Swagger UI's style sheet holds its icons

    app.add_api_route("/", try_page, include_in_schema=False)
    app.add_api_route("/docs", docs_page, include_in_schema=False)
    for folder in ("assets", "vendor"):
        app.mount(f"/pages/{folder}", StaticFiles(directory=HERE / folder))


def _page(text: str, policy: str) -> Response:
    headers = {"content-security-policy": policy, "cache-control": "no-cache"}
    return Response(text, media_type="text/html; charset=utf-8", headers=headers)
