"""Verbs that tell of what comes with the program."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tunewright.cli.options import Folder, Json


def models(json: Json = False) -> None:
    """List the named backbones: languages, size, licence, and where each was found.

    Example:  tunewright models
    """
    from tunewright import console
    from tunewright.backbones._catalogue import listing

    console.models(listing(), json=json)


def card(
    bundle: Folder,
    out: Annotated[
        Path | None, typer.Option("--out", help="New folder for the card and the evidence pack, as .md and .html.")
    ] = None,
    audit: Annotated[
        Path | None, typer.Option("--audit", help="report.json of a later audit of this bundle, to go in too.")
    ] = None,
    json: Json = False,
) -> None:
    """Print a bundle's model card; with --out write it, and an evidence pack by the headings of EU AI Act Annex IV.

    Example:  tunewright card intents/ --out evidence/
    """
    from tunewright import console, pipeline

    made = pipeline.card(bundle, out=out, audit=audit)
    if json:
        console.print_json(made.record)
    else:
        typer.echo(made.markdown)


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
