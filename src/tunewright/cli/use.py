"""Verbs that use a bundle."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tunewright.cli.options import Columns, DropEmpty, Folder, Json, NoHeader, Seed, Separator, reading


def show(bundle: Folder, json: Json = False) -> None:
    """Say what a bundle is and how good it is; every file is compared with its digest.

    Example:  tunewright show intents/ --json
    """
    from tunewright import console, pipeline

    console.record(pipeline.show(bundle), json=json)


def evaluate(
    bundle: Folder,
    rows: Annotated[str, typer.Argument(help="Labelled rows.")],
    label: Annotated[
        str | None, typer.Option("--label", help="Label column; default: the one it was fitted on.")
    ] = None,
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


def predict(
    bundle: Folder,
    rows: Annotated[str, typer.Argument(help="Rows to answer; - for standard input.")],
    out: Annotated[
        str, typer.Option("--out", help="File of answers, by its suffix; - for standard output (csv).")
    ] = "-",
    top: Annotated[int, typer.Option("--top", min=0, help="List the best labels of each row.")] = 0,
    prefix: Annotated[str, typer.Option("--prefix", help="Put before the names of the added columns.")] = "",
    format_: Annotated[
        str, typer.Option("--format", help="How the rows lie: csv, jsonl …; default: found by itself.")
    ] = "auto",
    force: Annotated[bool, typer.Option("--force", help="Replace a file at --out.")] = False,
    separator: Separator = None,
    no_header: NoHeader = False,
    columns: Columns = None,
) -> None:
    """Answer rows: their columns are kept, `prediction` and `score` are added. Files may be of any size.

    Example:  tunewright predict intents/ new.csv --out answers.csv --top 3
    """
    from tunewright import console, pipeline

    options = reading(separator, no_header, columns) | {"format": format_}
    with console.source(rows, format_) as (path, name):
        answered = pipeline.predict(bundle, path, top=top, prefix=prefix, options=options, name=name)
        console.write(answered, out, force=force)


def explain(
    bundle: Folder,
    text: Annotated[
        list[str], typer.Argument(help="The text; where the bundle reads several columns, one for each in their order.")
    ],
    method: Annotated[
        str, typer.Option("--method", help="occlusion (words left out one by one) or lime.")
    ] = "occlusion",
    target: Annotated[str | None, typer.Option("--target", help="Which target; default: all.")] = None,
    label: Annotated[str | None, typer.Option("--label", help="Which label; default: what is predicted.")] = None,
    top: Annotated[int, typer.Option("--top", min=0, help="Words in the table, the strongest first.")] = 10,
    pieces: Annotated[
        int, typer.Option("--pieces", min=1, help="Words of a longer text are taken together to so many pieces.")
    ] = 32,
    seed: Seed = None,
    out: Annotated[Path | None, typer.Option("--out", help="HTML page to write.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a page at --out.")] = False,
    json: Json = False,
) -> None:
    """Say which words speak for an answer and which against it.

    Example:  tunewright explain intents/ "my card was stolen" --method lime --out why.html
    """
    from tunewright import console, pipeline

    explained = pipeline.explain(
        bundle, text, method=method, target=target, label=label, most=pieces, seed=seed or 0, out=out, force=force
    )
    console.explanations(explained, top=top, json=json)


def serve(
    bundles: Annotated[list[Path], typer.Argument(help="One or several bundles.")],
    host: Annotated[
        str, typer.Option("--host", help="Address to listen at; the loopback unless told otherwise.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", help="0 = a free one.")] = 8080,
) -> None:
    """Answer over HTTP: POST /v1/NAME/predict, a page to try it at /, docs at /docs.

    Example:  tunewright serve intents/ --port 8080
    """
    from tunewright.serve.run import serve as run

    run(bundles, host, port)


def export(
    bundle: Folder,
    to: Annotated[str, typer.Option("--to", help="hf = a Hugging Face folder; onnx = the graphs.")],
    out: Annotated[Path, typer.Option("--out", help="Folder to write.")],
) -> None:
    """Lay a bundle out for other programs.

    Example:  tunewright export intents/ --to hf --out intents-hf/
    """
    from tunewright import pipeline

    typer.echo(pipeline.export(bundle, to, out))
