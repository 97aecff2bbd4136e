"""The command line: one verb = one function call. No logic, and nothing heavy is imported before a verb runs."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from tunewright.core.errors import TunewrightError

app = typer.Typer(
    name="tunewright",
    help="Rows and a small pretrained model in; a fine-tuned, judged, servable model out. On one CPU machine.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    epilog="Start with:  tunewright sample rows/   then   "
    "tunewright fit rows/support_train.csv --test rows/support_test.csv --text text --label intent --out intents/",
)

Folder = Annotated[Path, typer.Argument(help="A bundle: the folder that `fit` wrote.")]
Rows = Annotated[
    str | None, typer.Argument(help="Rows: csv, tsv, jsonl, parquet, xlsx, or a folder of texts per class.")
]
Text = Annotated[list[str] | None, typer.Option("--text", help="Input column; repeat it for several.")]
Label = Annotated[
    list[str] | None, typer.Option("--label", help="Label column; repeat it for one 0/1 column per label.")
]
KindName = Annotated[str | None, typer.Option("--kind", help="What is predicted: classify, multilabel, regress.")]
Test = Annotated[str | None, typer.Option("--test", help="Test rows; default: a part split off the training rows.")]
TaskFile = Annotated[Path | None, typer.Option("--task", help="Task file (TOML); flags win over it.")]
Set = Annotated[list[str] | None, typer.Option("--set", help="Any setting: --set fit.minutes=2; `schema` lists them.")]
Separator = Annotated[
    str | None, typer.Option("--separator", help="Text between two cells; default: found in the file.")
]
NoHeader = Annotated[bool, typer.Option("--no-header", help="The first line holds rows, not column names.")]
Columns = Annotated[str | None, typer.Option("--columns", help="Column names, comma separated.")]
DropEmpty = Annotated[bool, typer.Option("--drop-empty", help="Leave out rows with an empty input or label.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
Method = Annotated[
    str | None, typer.Option("--method", help="auto, or a name: lexical, probe, contrastive, top, full, lora …")
]
Backbone = Annotated[str | None, typer.Option("--backbone", help="Name, folder or hub id; default: by language.")]
Seed = Annotated[int | None, typer.Option("--seed", help="Seed of splits, batches and draws (default 0).")]
ForceBundle = Annotated[bool, typer.Option("--force", help="Replace a bundle at --out.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="Print errors only.")]


@app.command()
def check(
    train: Rows = None,
    text: Text = None,
    label: Label = None,
    kind: KindName = None,
    test: Test = None,
    task: TaskFile = None,
    set_: Set = None,
    separator: Separator = None,
    no_header: NoHeader = False,
    columns: Columns = None,
    drop_empty: DropEmpty = False,
    json: Json = False,
) -> None:
    """Say what stops a fit on these rows, and what only should be known.

    Example:  tunewright check train.csv --text text --label category
    """
    from tunewright import console, pipeline

    settings = _settings(set_, separator, no_header, columns, drop_empty)
    issues = pipeline.check(train, text=text, label=_one(label), kind=kind, test=test, task=task, settings=settings)
    console.issues(issues, json=json)


@app.command()
def fit(
    train: Rows = None,
    out: Annotated[Path, typer.Option("--out", help="Folder of the new bundle.")] = Path("bundle"),
    text: Text = None,
    label: Label = None,
    kind: KindName = None,
    test: Test = None,
    task: TaskFile = None,
    method: Method = None,
    backbone: Backbone = None,
    minutes: Annotated[float | None, typer.Option("--minutes", help="Time for the whole fit (default 5).")] = None,
    seed: Seed = None,
    set_: Set = None,
    separator: Separator = None,
    no_header: NoHeader = False,
    columns: Columns = None,
    drop_empty: DropEmpty = False,
    force: ForceBundle = False,
    quiet: Quiet = False,
) -> None:
    """Learn from rows, judge what was learnt, and release it as a bundle.

    Example:  tunewright fit train.csv --test test.csv --text text --label category --out intents/

    With a gate:  add  --set 'gates.accuracy=">= 0.90"'  (a bundle that misses it is not released: exit code 3)
    """
    from tunewright import console, pipeline

    named = {"fit.method": method, "fit.backbone": backbone, "fit.minutes": minutes, "seed": seed}
    settings = {key: value for key, value in named.items() if value is not None}
    settings |= _settings(set_, separator, no_header, columns, drop_empty)
    with console.progress(quiet=quiet) as listener:
        pipeline.fit(
            train,
            out=out,
            text=text,
            label=_one(label),
            kind=kind,
            test=test,
            task=task,
            settings=settings,
            force=force,
            listener=listener,
        )


@app.command()
def pretrain(
    corpus: Annotated[
        str, typer.Argument(help="Texts: a .txt file with one a line, or with --text any file that `fit` reads.")
    ],
    out: Annotated[Path, typer.Option("--out", help="Folder of the new backbone.")] = Path("backbone"),
    backbone: Annotated[str, typer.Option("--backbone", help="Name, folder or hub id; auto: by language.")] = "auto",
    text: Annotated[str | None, typer.Option("--text", help="Column of the texts.")] = None,
    pair: Annotated[str | None, typer.Option("--pair", help="Column of their partners: answers, titles …")] = None,
    objective: Annotated[
        str | None, typer.Option("--objective", help="masked, simcse, or pairs (the default with --pair).")
    ] = None,
    minutes: Annotated[float | None, typer.Option("--minutes", help="Time for all of it (default 5).")] = None,
    epochs: Annotated[int | None, typer.Option("--epochs", help="Passes over the texts (default 3).")] = None,
    seed: Annotated[int | None, typer.Option("--seed", help="Seed of all draws (default 0).")] = None,
    set_: Set = None,
    separator: Separator = None,
    no_header: NoHeader = False,
    columns: Columns = None,
    force: Annotated[bool, typer.Option("--force", help="Replace what pretrain wrote to --out before.")] = False,
    quiet: Quiet = False,
) -> None:
    """Train a backbone further on texts without labels; `fit --backbone` takes the result.

    Example:  tunewright pretrain corpus.txt --backbone minilm-en --out mybank/
    """
    from tunewright import console, pipeline

    named = {"fit.minutes": minutes, "fit.epochs": epochs, "seed": seed}
    settings = {key: value for key, value in named.items() if value is not None}
    settings |= _settings(set_, separator, no_header, columns)
    with console.progress(quiet=quiet) as listener:
        pipeline.pretrain(
            corpus,
            out=out,
            backbone=backbone,
            text=text,
            pair=pair,
            objective=objective,
            settings=settings,
            force=force,
            listener=listener,
        )


@app.command()
def tune(
    train: Rows = None,
    out: Annotated[Path, typer.Option("--out", help="Folder of the new bundle.")] = Path("tuned"),
    trials: Annotated[int, typer.Option("--trials", help="Fits in all, those of earlier commands included.")] = 20,
    minutes: Annotated[float | None, typer.Option("--minutes", help="Time for all trials; default: no limit.")] = None,
    search: Annotated[
        list[str] | None,
        typer.Option("--search", help="KEY=a..b or KEY=a|b|c, repeated; default: method, step size, epochs, batch."),
    ] = None,
    objective: Annotated[
        str, typer.Option("--objective", help="accuracy, latency, size, or several with commas; the first decides.")
    ] = "accuracy",
    pick: Annotated[int | None, typer.Option("--pick", help="Release the trial of this number instead.")] = None,
    text: Text = None,
    label: Label = None,
    kind: KindName = None,
    test: Test = None,
    task: TaskFile = None,
    method: Method = None,
    backbone: Backbone = None,
    seed: Seed = None,
    set_: Set = None,
    separator: Separator = None,
    no_header: NoHeader = False,
    columns: Columns = None,
    drop_empty: DropEmpty = False,
    force: ForceBundle = False,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Search for better settings of a fit, judged on the validation part, and release the best as a bundle.

    Example:  tunewright tune train.csv --text text --label category --out tuned/ --trials 20 --search fit.epochs=1..5
    """
    from tunewright import console, pipeline
    from tunewright.core.space import parse_search

    named = {"fit.method": method, "fit.backbone": backbone, "seed": seed}
    settings = {key: value for key, value in named.items() if value is not None}
    settings |= _settings(set_, separator, no_header, columns, drop_empty)
    with console.progress(quiet=quiet) as listener:
        tuned = pipeline.tune(
            train,
            out=out,
            trials=trials,
            minutes=minutes,
            search=dict(parse_search(one) for one in search or []),
            objective=objective,
            pick=pick,
            text=text,
            label=_one(label),
            kind=kind,
            test=test,
            task=task,
            settings=settings,
            force=force,
            listener=listener,
        )
    if json:
        console.print_json(tuned.record)


@app.command()
def show(bundle: Folder, json: Json = False) -> None:
    """Say what a bundle is and how good it is; every file is compared with its digest.

    Example:  tunewright show intents/ --json
    """
    from tunewright import console, pipeline

    console.record(pipeline.show(bundle), json=json)


@app.command()
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

    options = _reading(separator, no_header, columns, drop_empty)
    console.findings(pipeline.evaluate(bundle, rows, label=label, options=options), json=json)


@app.command()
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

    options = _reading(separator, no_header, columns) | {"format": format_}
    with console.source(rows, format_) as (path, name):
        answered = pipeline.predict(bundle, path, top=top, prefix=prefix, options=options, name=name)
        console.write(answered, out, force=force)


@app.command()
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


@app.command()
def models(json: Json = False) -> None:
    """List the named backbones: languages, size, licence, and where each was found.

    Example:  tunewright models
    """
    from tunewright import console
    from tunewright.backbones._catalogue import listing

    console.models(listing(), json=json)


@app.command()
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


@app.command()
def schema() -> None:
    """Print the JSON schema of a task file, for editors.

    Example:  tunewright schema > task.schema.json
    """
    import json

    from tunewright.core.task import Task

    typer.echo(json.dumps(Task.model_json_schema(), indent=2, ensure_ascii=False))


@app.command()
def sample(folder: Annotated[Path, typer.Argument(help="Folder to write the sample rows into.")]) -> None:
    """Write the sample rows that come with the program: customer messages with their intents, English and Chinese.

    Example:  tunewright sample rows/
    """
    from tunewright import samples

    for path in samples.write(folder):
        typer.echo(path)


def _one(label: list[str] | None) -> str | list[str] | None:
    return label[0] if label and len(label) == 1 else label or None


def _reading(separator: str | None, no_header: bool, columns: str | None, drop_empty: bool = False) -> dict[str, Any]:
    """What the flags say of how rows lie, by the names in ``[data]`` of a task."""
    said: dict[str, Any] = {}
    if separator is not None:
        said["separator"] = separator.replace("\\t", "\t")
    if no_header:
        said["header"] = False
    if columns is not None:
        said["columns"] = tuple(columns.split(","))
    if drop_empty:
        said["drop_empty"] = True
    return said


def _settings(pairs: list[str] | None, *reading: Any) -> dict[str, Any]:
    from tunewright.core.task import parse_set

    said = {f"data.{name}": value for name, value in _reading(*reading).items()}
    return said | dict(parse_set(pair) for pair in pairs or [])


def main() -> None:
    """Run the command line; exit codes: 0, 2 (problem and remedy), 3 (a gate missed), 130 (stopped), 1 (a bug)."""
    try:
        app()
    except TunewrightError as error:
        typer.secho(f"tunewright: {error.problem}", fg="red", err=True)
        typer.secho(f"         → {error.remedy}", err=True)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)
