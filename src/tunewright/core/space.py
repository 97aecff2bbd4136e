"""What ``tune`` searches over: settings of ``[fit]``, each within a range or out of choices."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tunewright.core import plugins
from tunewright.core.errors import TunewrightError, nearest
from tunewright.core.sections import Fit
from tunewright.core.task import Task, settings, varied

LOG_RATIO = 100
"""A range whose ends lie this far apart is drawn from on a logarithmic scale."""
METHODS = ("lexical", "probe", "full")
"""The methods that are tried where neither the task nor the search names one: the cheapest and the strongest."""
WITHOUT_STEPS = ("lexical", "probe", "blend")
"""Methods that solve for their weights instead of stepping towards them."""
STEPS = (
    *("epochs", "batch_rows", "learning_rate", "warmup", "weight_decay", "average", "size", "layers", "patience"),
    *("soup", "soup_rates", "ensemble"),
)
OF_STEPS = frozenset(f"fit.{name}" for name in STEPS)
"""What those methods make no use of, so that it is not drawn for them."""


@dataclass(frozen=True)
class Field:
    """One setting that is searched: between two ends, which are whole numbers where the setting is, or by choices."""

    name: str
    low: float = 0
    high: float = 0
    choices: tuple[Any, ...] = ()

    @property
    def log(self) -> bool:
        return self.low > 0 and self.high / self.low >= LOG_RATIO

    def __str__(self) -> str:
        if self.choices:
            return "|".join(map(str, self.choices))
        return f"{self.low:g}..{self.high:g}" + (", logarithmic" if self.log else "")


def read_space(task: Task) -> tuple[Field, ...]:
    """The fields of the task's ``[search]``, or the usual ones; the method comes first, since others depend on it.

    Raises
    ------
    TunewrightError
        A key is none of ``[fit]`` (with the nearest one), a range or a choice does not fit its setting, or the
        method makes no use of what is searched.
    """
    texts = task.search or usual(task)
    names = sorted(texts, key=lambda name: (name != "fit.method", name))
    fields = tuple(_field(task, name, texts[name]) for name in names)
    methods = next((field.choices for field in fields if field.name == "fit.method"), (task.fit.method,))
    for field in fields:
        if field.name in OF_STEPS and set(methods) <= set(WITHOUT_STEPS):
            raise TunewrightError(
                f"search {field.name}: method {' or '.join(methods)} makes no use of it",
                "search over another setting, or with another method, such as --method full",
            )
    return fields


def usual(task: Task) -> Mapping[str, str]:
    """The search space where none is given: step size, epochs and batch, and the method where it is ``auto``."""
    steps = {"fit.learning_rate": "1e-5..1e-3", "fit.epochs": "1..5", "fit.batch_rows": "16|32|64|128"}
    if task.fit.method in WITHOUT_STEPS:
        raise TunewrightError(
            f"method {task.fit.method} has nothing that is searched unless it is named",
            "name settings, such as --search 'fit.max_tokens=64|128', or choose another method",
        )
    if task.fit.method != "auto":
        return steps
    closed_form = all(plugins.load("kinds", target.kind).closed_form for target in task.targets)
    fitting = [one for one in METHODS if one in plugins.names("methods") and (closed_form or one not in WITHOUT_STEPS)]
    return {"fit.method": "|".join(fitting), **steps}


def parse_search(text: str) -> tuple[str, str]:
    """``key=range`` or ``key=choices`` of a ``--search`` flag.

    >>> parse_search("fit.epochs=1..5")
    ('fit.epochs', '1..5')
    """
    key, equals, values = (piece.strip() for piece in text.partition("="))
    if not (key and equals and values):
        raise TunewrightError(f"--search {text!r} is not key=values", "write for example --search fit.epochs=1..5")
    return key, values


def drawn(fields: tuple[Field, ...], method: str) -> tuple[Field, ...]:
    """The fields that a method makes use of, without the method itself."""
    useless = OF_STEPS if method in WITHOUT_STEPS else frozenset[str]()
    return tuple(field for field in fields if field.name != "fit.method" and field.name not in useless)


def _field(task: Task, name: str, text: str) -> Field:
    known = {f"fit.{one}": field.annotation for one, field in Fit.model_fields.items()}
    if name not in known and name in settings(task):
        raise TunewrightError(
            f"search {name}: only settings of [fit] are searched, since all trials share their rows and parts",
            f"use --set {name}=VALUE for all trials",
        )
    if name not in known:
        raise TunewrightError(f"search {name}: there is no such setting", nearest(name, known))
    if "|" in text:
        return Field(name, choices=_choices(task, name, text))
    low, dots, high = text.partition("..")
    if not dots:
        raise TunewrightError(
            f"search {name} = {text!r}: neither a range nor choices",
            f"write a..b or a|b; for one value --set {name}={text}",
        )
    if known[name] not in (int, float):
        raise TunewrightError(f"search {name} = {text!r}: a text has no range", "list choices: a|b|c")
    return _range(task, name, low, high)


def _choices(task: Task, name: str, text: str) -> tuple[Any, ...]:
    choices = tuple(dict.fromkeys(_value(task, name, one.strip()) for one in text.split("|")))
    methods = ("auto", *plugins.names("methods"))
    for one in choices if name == "fit.method" else ():
        if one not in methods:
            raise TunewrightError(f"search {name} = {text!r}: there is no method {one!r}", nearest(one, methods))
    return choices


def _range(task: Task, name: str, low: str, high: str) -> Field:
    field = Field(name, _value(task, name, low.strip()), _value(task, name, high.strip()))
    if field.low > field.high:
        raise TunewrightError(f"search {name} = '{low}..{high}': upside down", f"write {high}..{low}")
    if field.low == field.high:
        raise TunewrightError(f"search {name} = '{low}..{high}': a single value", f"use --set {name}={low}")
    return field


def _value(task: Task, name: str, text: str) -> Any:
    """The value as the task holds it; one that the task refuses is an error."""
    return getattr(varied(task, {name: text}, "search").fit, name.removeprefix("fit."))
