"""The list of bundles: what each reads and predicts, and what one request may ask for."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI, Request
from pydantic import BaseModel, Field

from tunewright.core.plugins import reads
from tunewright.serve.limits import Limits
from tunewright.serve.predictor import Predictor
from tunewright.serve.problems import Problem
from tunewright.serve.registry import Registry
from tunewright.serve.service import MEANING, same_site


class Target(BaseModel):
    """One thing that a bundle predicts; ``labels`` counts them."""

    name: str
    kind: str
    labels: int


class Bundle(BaseModel):
    """One bundle; ``inputs`` says of each column what its values are."""

    name: str
    digest: str
    inputs: dict[str, str] = Field(examples=[{"text": "text"}])
    targets: list[Target]


class Bounds(BaseModel):
    """What one request may ask for."""

    batch_rows: int
    body_bytes: int
    text_characters: int
    top_candidates: int


class Bundles(BaseModel):
    """All bundles; the first one also answers ``POST /predict``."""

    bundles: list[Bundle]
    limits: Bounds


def add_bundles(app: FastAPI, registry: Registry, limits: Limits) -> None:
    """Add ``GET /v1/bundles``."""
    bounds = Bounds(**{name: getattr(limits, name) for name in Bounds.model_fields})
    refused: dict[int | str, dict[str, Any]] = {
        status: {"model": Problem, "description": MEANING[status]} for status in (401, 403, 429)
    }

    @app.get("/v1/bundles", tags=["state"], summary="Which bundles are served?", responses=refused)
    async def bundles(request: Request) -> Bundles:
        same_site(request)
        return Bundles(bundles=[_told(name, one.predictor) for name, one in registry.served.items()], limits=bounds)


def _told(name: str, predictor: Predictor) -> Bundle:
    manifest = predictor.manifest
    counts = {target: len(getattr(kind, "labels", ())) for target, kind in predictor.kinds.items()}
    targets = [Target(name=one["name"], kind=one["kind"], labels=counts[one["name"]]) for one in manifest.targets]
    inputs = {column: reads(modality) for column, modality in manifest.inputs.items()}
    return Bundle(name=name, digest=manifest.digest, inputs=inputs, targets=targets)
