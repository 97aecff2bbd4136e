"""Sections of the task about people: what they are told of the model, and which answers they look at."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import Field, ValidationInfo, field_validator

from tunewright.core.sections import Section


class Card(Section):
    """What is said of the model by those who answer for it; each is a text, or ``{en = "…", zh = "…"}``."""

    intended_use: str | dict[str, str] = Field("", description="What the model is for, and who uses it.")
    out_of_scope_use: str | dict[str, str] = Field("", description="What it must not be used for.")
    affected: str | dict[str, str] = Field("", description="Who is affected by its answers.")
    limits: str | dict[str, str] = Field("", description="Where it is known to fail, or was never looked at.")
    training_data: str | dict[str, str] = Field("", description="Where the rows come from, and who consented.")
    contact: str | dict[str, str] = Field("", description="Who answers questions and takes complaints.")
    licence: str | dict[str, str] = Field("", description="On which terms the model may be used.")
    oversight: str | dict[str, str] = Field("", description="Who watches it, and who can stop it.")

    @field_validator("*", mode="before")
    @classmethod
    def _said(cls, said: Any, field: ValidationInfo) -> Any:
        given = said.values() if isinstance(said, Mapping) else [said]
        if not all(isinstance(one, str) for one in given):
            raise ValueError(f"card.{field.field_name} = {said!r} is no text\nwrite it in quotes")
        unknown = [str(key) for key in said if key not in LANGUAGES] if isinstance(said, Mapping) else []
        if unknown:
            raise ValueError(
                f'card.{field.field_name} has no language {unknown[0]!r}\nwrite {{ en = "…", zh = "…" }}, or one text'
            )
        return said


LANGUAGES = ("en", "zh")
"""Those that reports and cards are written in."""


class Slice(Section):
    """A condition on the inputs: it holds where one of the words occurs, or where the text is longer."""

    words: tuple[str, ...] = Field((), description="Words or phrases; case and width of letters do not matter.")
    longer: int = Field(0, ge=0, description="Characters that the text has more than; 0 = any length.")
    column: str = Field("", description="Input column that is looked at; default: each.")

    @field_validator("words")
    @classmethod
    def _not_empty(cls, words: tuple[str, ...]) -> tuple[str, ...]:
        if not all(word.strip() for word in words):
            raise ValueError("a word of a slice in review.slices is empty\ntake it out: it would hold everywhere")
        return words


class Review(Section):
    """Which answers a person looks at; without any rule none is marked."""

    labels: tuple[str, ...] = Field((), description="Labels whose answers a person always looks at.")
    below: float = Field(0.0, ge=0.0, le=1.0, description="Score under which a person looks at an answer.")
    slices: dict[str, Slice] = Field({}, description='Inputs that a person always looks at: name = {words = ["…"]}.')

    @field_validator("slices")
    @classmethod
    def _conditions(cls, slices: dict[str, Slice]) -> dict[str, Slice]:
        for name, one in slices.items():
            if not (one.words or one.longer):
                raise ValueError(f'review.slices.{name} has no condition\nset words = ["…"] or longer = 2000 in it')
        return slices

    @property
    def rules(self) -> bool:
        """Whether there is any."""
        return bool(self.labels or self.below or self.slices)
