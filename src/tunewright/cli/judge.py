"""Verbs that judge models: on labelled rows, against each other, by every audit, and word by word."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tunewright.cli.options import (
    Columns,
    DropEmpty,
    Folder,
    Json,
    NoHeader,
    OwnLabel,
    Quiet,
    Seed,
    Separator,
    Set,
    TaskFile,
    Text,
    reading,
    settings_of,
)


def evaluate(
    bundle: Folder,
    rows: Annotated[str, typer.Argument(help="Labelled rows.")],
    label: OwnLabel = None,
    separator: Separator = None,
    no_header: NoHeader = False,
    columns: Columns = None,
    drop_empty: DropEmpty = False,
    json: Json = False,
) -> None:
    """Measure a bundle on labelled rows, with intervals.

    Example:  tunewright evaluate intents/ labelled.csv --label category
    """
    from tunewright import console, pipeline

    options = reading(separator, no_header, columns, drop_empty)
    console.findings(pipeline.evaluate(bundle, rows, label=label, options=options), json=json)


def audit(
    model: Annotated[
        str, typer.Argument(help="A bundle's folder, or a service: http://HOST:PORT/v1/NAME.", show_default=False)
    ],
    rows: Annotated[str, typer.Argument(help="Rows; without labels, audits that need none run all the same.")],
    only: Annotated[
        list[str] | None, typer.Option("--only", help="Names of audits, with commas or repeated; default: all.")
    ] = None,
    group: Annotated[
        list[str] | None,
        typer.Option("--group", help="Columns whose groups are to be treated alike, with commas or repeated."),
    ] = None,
    label: OwnLabel = None,
    text: Text = None,
    train: Annotated[
        str | None, typer.Option("--train", help="The rows that the model learnt from, for audits that need them.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="New folder for the report, and the rows beside it.")
    ] = None,
    minutes: Annotated[float, typer.Option("--minutes", help="No audit is begun later than this.")] = 5.0,
    timeout: Annotated[float, typer.Option("--timeout", help="Seconds that an answer of a service may take.")] = 30.0,
    task: TaskFile = None,
    seed: Seed = None,
    set_: Set = None,
    separator: Separator = None,
    no_header: NoHeader = False,
    columns: Columns = None,
    drop_empty: DropEmpty = False,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Judge a model by every audit, hold it against its gates (exit code 3 where one is missed), write a report.

    Example:  tunewright audit intents/ test.csv --train train.csv --out audit/

    With a gate:  add  --set 'gates.accuracy=">= 0.90"'  to those of the bundle's own task
    """
    from tunewright import console, pipeline

    with console.progress(quiet=quiet) as listener:
        found = pipeline.audit(
            model,
            rows,
            only=_listed(only) or None,
            groups=_listed(group),
            label=label,
            text=text or (),
            train=train,
            out=out,
            task=task,
            settings=settings_of({"seed": seed}, set_, separator, no_header, columns, drop_empty),
            minutes=minutes,
            timeout=timeout,
            listener=listener,
        )
    console.audited(found, json=json)
    if found.refusal is not None:
        raise found.refusal


def _listed(names: list[str] | None) -> list[str]:
    """Names that were given with commas, or by repeating the option."""
    return [name.strip() for one in names or () for name in one.split(",") if name.strip()]


def compare(
    old: Annotated[Path, typer.Argument(help="A: the bundle that is there.")],
    new: Annotated[Path, typer.Argument(help="B: the bundle that may replace it.")],
    rows: Annotated[str, typer.Argument(help="Labelled rows.")],
    label: Annotated[
        str | None, typer.Option("--label", help="Label column; default: the one that NEW was fitted on.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="New folder for the report and the rows that changed.")
    ] = None,
    separator: Separator = None,
    no_header: NoHeader = False,
    columns: Columns = None,
    drop_empty: DropEmpty = False,
    json: Json = False,
) -> None:
    """Say what changed between two bundles, which rows flipped, and whether the difference is real.

    Example:  tunewright compare old/ new/ test.csv --out compared/
    """
    from tunewright import console, pipeline

    options = reading(separator, no_header, columns, drop_empty)
    console.comparison(pipeline.compare(old, new, rows, label=label, out=out, options=options), json=json)


def explain(
    bundle: Folder,
    text: Annotated[
        list[str], typer.Argument(help="The text; where the bundle reads several columns, one for each in their order.")
    ],
    method: Annotated[
        str,
        typer.Option("--method", help="occlusion (words left out one by one), lime, shap or ig (gradients)."),
    ] = "occlusion",
    target: Annotated[str | None, typer.Option("--target", help="Which target; default: all.")] = None,
    label: Annotated[str | None, typer.Option("--label", help="Which label; default: what is predicted.")] = None,
    top: Annotated[int, typer.Option("--top", min=0, help="Words in the table, the strongest first.")] = 10,
    pieces: Annotated[
        int, typer.Option("--pieces", min=1, help="Words of a longer text are taken together to so many pieces.")
    ] = 32,
    seed: Seed = None,
    train: Annotated[str | None, typer.Option("--train", help="Training rows; the most similar are listed.")] = None,
    nearest: Annotated[int, typer.Option("--nearest", min=1, help="How many of them.")] = 5,
    out: Annotated[Path | None, typer.Option("--out", help="HTML page to write.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a page at --out.")] = False,
    json: Json = False,
) -> None:
    """Say which words speak for an answer and which against it.

    Example:  tunewright explain intents/ "my card was stolen" --method lime --out why.html
    """
    from tunewright import console, pipeline

    explained = pipeline.explain(
        bundle,
        text,
        method=method,
        target=target,
        label=label,
        most=pieces,
        seed=seed or 0,
        train=train,
        nearest=nearest,
        out=out,
        force=force,
    )
    console.explanations(explained, top=top, json=json)
