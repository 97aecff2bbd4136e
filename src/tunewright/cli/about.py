"""Verbs that tell of what comes with the program."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tunewright.cli.options import Json


def models(json: Json = False) -> None:
    """List the named backbones: languages, size, licence, and where each was found.

    Example:  tunewright models
    """
    from tunewright import console
    from tunewright.backbones._catalogue import listing

    console.models(listing(), json=json)


def schema() -> None:
    """Print the JSON schema of a task file, for editors.

    Example:  tunewright schema > task.schema.json
    """
    import json

    from tunewright.core.task import Task

    typer.echo(json.dumps(Task.model_json_schema(), indent=2, ensure_ascii=False))


def sample(folder: Annotated[Path, typer.Argument(help="Folder to write the sample rows into.")]) -> None:
    """Write the sample rows that come with the program: customer messages with their intents, English and Chinese.

    Example:  tunewright sample rows/
    """
    from tunewright import samples

    for path in samples.write(folder):
        typer.echo(path)
