"""Verbs that learn from rows, and the one that looks at them before."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tunewright.cli.options import (
    Backbone,
    Cluster,
    Columns,
    DropEmpty,
    ForceBundle,
    Json,
    KindName,
    Label,
    Method,
    NoHeader,
    Quiet,
    Rows,
    Seed,
    Separator,
    Set,
    Targets,
    TaskFile,
    Test,
    Text,
    Watch,
    Workers,
    label_of,
    settings_of,
)


def check(
    train: Rows = None,
    text: Text = None,
    label: Label = None,
    target: Targets = None,
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

    settings = settings_of({}, set_, separator, no_header, columns, drop_empty)
    named = {"label": label_of(label), "target": target or None, "kind": kind}
    issues = pipeline.check(train, text=text, test=test, task=task, settings=settings, **named)
    console.issues(issues, json=json)


def fit(
    train: Rows = None,
    out: Annotated[Path, typer.Option("--out", help="Folder of the new bundle.")] = Path("bundle"),
    text: Text = None,
    label: Label = None,
    target: Targets = None,
    kind: KindName = None,
    test: Test = None,
    task: TaskFile = None,
    method: Method = None,
    backbone: Backbone = None,
    minutes: Annotated[float | None, typer.Option("--minutes", help="Time for the whole fit (default 5).")] = None,
    folds: Annotated[
        int | None, typer.Option("--folds", help="Cross-validation with so many folds; all rows are judged.")
    ] = None,
    seed: Seed = None,
    set_: Set = None,
    separator: Separator = None,
    no_header: NoHeader = False,
    columns: Columns = None,
    drop_empty: DropEmpty = False,
    watch: Watch = None,
    force: ForceBundle = False,
    workers: Workers = None,
    cluster: Cluster = None,
    quiet: Quiet = False,
) -> None:
    """Learn from rows, judge what was learnt, and release it as a bundle.

    Example:  tunewright fit train.csv --test test.csv --text text --label category --out intents/

    With a gate:  add  --set 'gates.accuracy=">= 0.90"'  (a bundle that misses it is not released: exit code 3)
    """
    from tunewright import console, pipeline

    named = {"fit.method": method, "fit.backbone": backbone, "fit.minutes": minutes, "seed": seed}
    named |= {"fit.workers": workers, "split.folds": folds, "fit.watch": watch}
    settings = settings_of(named, set_, separator, no_header, columns, drop_empty)
    with console.progress(quiet=quiet) as listener:
        pipeline.fit(
            train,
            out=out,
            text=text,
            label=label_of(label),
            target=target or None,
            kind=kind,
            test=test,
            task=task,
            settings=settings,
            force=force,
            cluster=cluster,
            listener=listener,
        )


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
    watch: Watch = None,
    force: Annotated[bool, typer.Option("--force", help="Replace what pretrain wrote to --out before.")] = False,
    workers: Workers = None,
    cluster: Cluster = None,
    quiet: Quiet = False,
) -> None:
    """Train a backbone further on texts without labels; `fit --backbone` takes the result.

    Example:  tunewright pretrain corpus.txt --backbone minilm-en --out mybank/
    """
    from tunewright import console, pipeline

    named = {"fit.minutes": minutes, "fit.epochs": epochs, "seed": seed, "fit.workers": workers, "fit.watch": watch}
    settings = settings_of(named, set_, separator, no_header, columns)
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
            cluster=cluster,
            listener=listener,
        )


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
    target: Targets = None,
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
    workers: Workers = None,
    cluster: Cluster = None,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Search for better settings of a fit, judged on the validation part, and release the best as a bundle.

    Example:  tunewright tune train.csv --text text --label category --out tuned/ --trials 20 --search fit.epochs=1..5
    """
    from tunewright import console, pipeline
    from tunewright.core.space import parse_search

    named = {"fit.method": method, "fit.backbone": backbone, "seed": seed, "fit.workers": workers}
    settings = settings_of(named, set_, separator, no_header, columns, drop_empty)
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
            label=label_of(label),
            target=target or None,
            kind=kind,
            test=test,
            task=task,
            settings=settings,
            force=force,
            cluster=cluster,
            listener=listener,
        )
    if json:
        console.print_json(tuned.record)
