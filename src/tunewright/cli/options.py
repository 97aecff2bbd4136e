"""The options that several verbs share, and what is made of them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

Folder = Annotated[Path, typer.Argument(help="A bundle: the folder that `fit` wrote.")]
Rows = Annotated[
    str | None, typer.Argument(help="Rows: csv, tsv, jsonl, parquet, xlsx, or a folder of texts per class.")
]
Text = Annotated[list[str] | None, typer.Option("--text", help="Input column; repeat it for several.")]
Label = Annotated[
    list[str] | None, typer.Option("--label", help="Label column; repeat it for one 0/1 column per label.")
]
OwnLabel = Annotated[str | None, typer.Option("--label", help="Label column; default: the one it was fitted on.")]
Targets = Annotated[
    list[str] | None,
    typer.Option("--target", help="COLUMN or COLUMN:KIND to predict; repeat it for several, learnt together."),
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
Workers = Annotated[
    int | None, typer.Option("--workers", help="Processes that train, or trials at a time (default 1; extra `ray`).")
]
Cluster = Annotated[
    str | None, typer.Option("--cluster", help="ray://HOST:PORT of a Ray cluster; default: a Ray of its own, here.")
]
Watch = Annotated[
    str | None, typer.Option("--watch", help="tensorboard, mlflow, wandb, or several with commas: who follows it.")
]
Quiet = Annotated[bool, typer.Option("--quiet", help="Print errors only.")]


def label_of(label: list[str] | None) -> str | list[str] | None:
    """One label column by itself, several as they are, none as None."""
    return label[0] if label and len(label) == 1 else label or None


def reading(separator: str | None, no_header: bool, columns: str | None, drop_empty: bool = False) -> dict[str, Any]:
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


def settings_of(named: Mapping[str, Any], pairs: list[str] | None, *flags: Any) -> dict[str, Any]:
    """Dotted name → value: what flags of their own name (where they were given), how rows lie, and ``--set``."""
    from tunewright.core.task import parse_set

    given = {name: value for name, value in named.items() if value is not None}
    said = {f"data.{name}": value for name, value in reading(*flags).items()}
    return given | said | dict(parse_set(pair) for pair in pairs or [])
