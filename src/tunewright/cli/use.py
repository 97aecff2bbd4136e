"""Verbs that use a bundle."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from tunewright.cli.options import (
    Columns,
    DropEmpty,
    Folder,
    Json,
    NoHeader,
    OwnLabel,
    Quiet,
    Separator,
    Set,
    TaskFile,
    reading,
    settings_of,
)


def show(bundle: Folder, json: Json = False) -> None:
    """Say what a bundle is and how good it is; every file is compared with its digest.

    Example:  tunewright show intents/ --json
    """
    from tunewright import console, pipeline

    console.record(pipeline.show(bundle), json=json)


def predict(
    bundle: Folder,
    rows: Annotated[str, typer.Argument(help="Rows to answer; - for standard input.")],
    out: Annotated[
        str, typer.Option("--out", help="File of answers, by its suffix; - for standard output (csv).")
    ] = "-",
    top: Annotated[int, typer.Option("--top", min=0, help="List the best labels of each row.")] = 0,
    error: Annotated[
        float | None,
        typer.Option(
            "--error", help="Promised rate of errors, such as 0.05: what is unsure gets no label; 0 = all is decided."
        ),
    ] = None,
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
        answered = pipeline.predict(bundle, path, top=top, error=error, prefix=prefix, options=options, name=name)
        console.write(answered, out, force=force)


def speed(
    bundle: Folder,
    rows: Annotated[
        str | None, typer.Argument(help="Rows to measure with; default: the sample rows of the program.")
    ] = None,
    threads: Annotated[
        int, typer.Option("--threads", help="Threads of one call; 0 = what the container's quota allows.")
    ] = 0,
    json: Json = False,
) -> None:
    """Measure how fast a bundle answers here, its cold start, and its share of what the machine can do.

    Example:  tunewright speed intents/ --threads 2
    """
    from tunewright import console, pipeline

    console.speed(pipeline.speed(bundle, rows, threads=threads), json=json)


def serve(
    bundles: Annotated[list[Path] | None, typer.Argument(help="One or several bundles.")] = None,
    parent: Annotated[
        Path | None, typer.Option("--bundles", help="A folder of bundles; SIGHUP finds those that are added later.")
    ] = None,
    host: Annotated[
        str, typer.Option("--host", help="Address to listen at; the loopback unless told otherwise.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", help="0 = a free one.")] = 8080,
    keys: Annotated[
        Path | None,
        typer.Option("--keys", help="File of keys that callers need; or by TUNEWRIGHT_KEYS_FILE, TUNEWRIGHT_KEYS."),
    ] = None,
    no_keys: Annotated[
        bool, typer.Option("--no-keys", help="Callers need no key, even from the network: a proxy asks who they are.")
    ] = False,
    allow_host: Annotated[
        list[str] | None, typer.Option("--allow-host", help="Name by which requests may call it; repeat for several.")
    ] = None,
    requests_per_second: Annotated[
        float, typer.Option("--requests-per-second", min=0, help="Of one caller; 0 = no limit.")
    ] = 0.0,
    rows_per_second: Annotated[
        float, typer.Option("--rows-per-second", min=0, help="Of one caller; 0 = no limit.")
    ] = 0.0,
    processes: Annotated[
        int, typer.Option("--processes", min=1, help="Processes at the same port; SIGHUP replaces them one by one.")
    ] = 1,
    admin: Annotated[
        list[str] | None,
        typer.Option("--admin", help="Name of a key that may reread and unload bundles over HTTP; repeat for several."),
    ] = None,
) -> None:
    """Answer over HTTP: POST /v1/NAME/predict, a page to try it at /, docs at /docs. SIGHUP reads changed bundles.

    Example:  tunewright serve intents/ --port 8080
    """
    from tunewright.serve.limits import Limits
    from tunewright.serve.run import serve as run

    limits = Limits(requests_per_second=requests_per_second, rows_per_second=rows_per_second)
    asked: dict[str, Any] = {"keys": keys, "without_keys": no_keys, "hosts": allow_host or ()}
    run(bundles or [], host, port, limits, parent=parent, **asked, processes=processes, admins=admin or ())


def key(
    name: Annotated[str, typer.Argument(help="Whose key it is: what logs and metrics call the caller.")],
    file: Annotated[Path, typer.Option("--file", help="Keys file; its hash is appended, the file made if need be.")],
) -> None:
    """Make an API key: it is printed once, only its hash is kept.

    Example:  tunewright key web-shop --file keys.txt
    """
    from tunewright.serve.access.keys import append

    typer.echo(append(file, name))
    typer.secho(f"This is the only time that it is shown. {file} holds its hash; callers send it as", err=True)
    typer.secho("Authorization: Bearer KEY", err=True)


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


def compress(
    bundle: Folder,
    out: Annotated[Path, typer.Option("--out", help="New folder for the compressed bundle.")],
    rows: Annotated[
        str | None,
        typer.Argument(help="Held-out rows that judge; without labels, only flips. Default: the test rows of the fit."),
    ] = None,
    to: Annotated[
        str | None,
        typer.Option(
            "--to",
            help="Steps, with commas: int8, fp16, vocabulary, prune, distill; default: int8, or what reaches --target.",
        ),
    ] = None,
    test: Annotated[str | None, typer.Option("--test", help="The same as ROWS.")] = None,
    target: Annotated[
        list[str] | None, typer.Option("--target", help='Must be reached, such as "size_mb<=30"; repeat for several.')
    ] = None,
    train: Annotated[
        str | None,
        typer.Option("--train", help="prune, distill: rows to learn from; vocabulary: whose tokens stay."),
    ] = None,
    unlabelled: Annotated[
        str | None, typer.Option("--unlabelled", help="The same without labels; the bundle's answers are learnt.")
    ] = None,
    student: Annotated[
        str, typer.Option("--student", help="distill: static, layers=3, a backbone's name, or a folder.")
    ] = "",
    label: OwnLabel = None,
    task: TaskFile = None,
    set_: Set = None,
    separator: Separator = None,
    no_header: NoHeader = False,
    columns: Columns = None,
    drop_empty: DropEmpty = False,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Make a bundle smaller or faster; of each step the first setting that passes on the rows is kept, or none.

    Example:  tunewright compress intents/ test.csv --to int8 --out intents-int8/
    """
    from tunewright import console, pipeline
    from tunewright.core.errors import TunewrightError

    if rows is not None and test is not None:
        raise TunewrightError("compress is judged on one file of rows", "name it: tunewright compress BUNDLE ROWS")
    said = settings_of({}, set_, separator, no_header, columns, drop_empty)
    named: dict[str, Any] = {"targets": target or (), "train": train, "label": label, "task": task, "settings": said}
    named |= {"unlabelled": unlabelled, "student": student}
    try:
        with console.progress(quiet=quiet) as listener:
            done = pipeline.compress(bundle, rows or test, to=to, out=out, listener=listener, **named)
    except pipeline.NotCompressed as refused:
        console.tried(refused.exhibit, json=json)
        raise
    console.compressed(done, json=json)
