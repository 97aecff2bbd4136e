"""The command line: one verb = one function call. No logic, and nothing heavy is imported before a verb runs."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from tunewright import __version__
from tunewright.cli import about, judge, learn, use
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


def _say_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"tunewright {__version__}")
        raise typer.Exit


@app.callback()
def _before_all(
    version: Annotated[
        bool, typer.Option("--version", callback=_say_version, is_eager=True, help="Say the version and stop.")
    ] = False,
) -> None:
    """What stands before a verb."""


VERBS = (
    *(learn.check, learn.fit, learn.pretrain, learn.tune),
    *(
        use.show,
        judge.evaluate,
        judge.audit,
        judge.compare,
        judge.explain,
        use.predict,
        use.compress,
        use.speed,
        use.serve,
        use.key,
    ),
    *(about.models, about.card, use.export, about.schema, about.sample),
)
for verb in VERBS:
    app.command()(verb)


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
