"""The section ``[privacy]`` of the task: what is hidden from the model, and how little it may tell of one row."""

from __future__ import annotations

from typing import Any

from pydantic import Field, field_validator

from tunewright.core.personal import PII, Personal
from tunewright.core.sections import Section


class Privacy(Section):
    """What is hidden from the model, and how little it may tell of one training row."""

    mask: tuple[Personal, ...] = Field(
        (), description='Personal data that the model reads as a token, such as ["email", "card"]; "all" for all.'
    )
    names: bool = Field(False, description="The audit looks for names and places too, with Presidio.")
    epsilon: float = Field(
        0.0, ge=0.0, description="Train with differential privacy, this much at most; 0 = without it."
    )
    delta: float = Field(1e-5, gt=0.0, lt=1.0, description="Chance that the promise of epsilon does not hold.")
    clip: float = Field(1.0, gt=0.0, description="Largest norm of one row's gradient under differential privacy.")

    @field_validator("mask", mode="before")
    @classmethod
    def _all(cls, mask: Any) -> Any:
        names = [mask] if isinstance(mask, str) else mask
        if not isinstance(names, list | tuple):
            return names
        for name in names:
            if name != "all" and name not in PII:
                raise ValueError(f"privacy.mask: {name!r} is not known\nchoose of {', '.join(PII)}, or all")
        return [name for name in PII if "all" in names or name in names]
