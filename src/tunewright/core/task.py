"""The task: what to learn from which columns, how, and which gates must hold. Read from TOML, from flags, or both."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin

from pydantic import BaseModel, Field, ValidationError, field_validator, model_validator

from tunewright.core.errors import TunewrightError, nearest
from tunewright.core.people import Card, Review
from tunewright.core.privacy import Privacy
from tunewright.core.sections import Audit, Compress, Data, Fairness, Fit, Section, Split, Target, Unsure

GATE = re.compile(r"^\s*(<=|>=|<|>)\s*(-?\d+(?:\.\d+)?)\s*$")
FREE_NAMES = re.compile(
    r"(inputs|gates|objectives|search|data\.rename|audit\.terms|targets\.\d+\.merge)\.(.+)", re.DOTALL
)
"""Tables whose keys are names that the user chose."""


class Task(Section):
    """What to learn from which columns, how, and which gates must hold."""

    name: str = Field("", description="Name of the bundle; default: the name of the folder it is written to.")
    seed: int = Field(0, ge=0, le=2**31 - 1, description="Seed of splits, batches and draws.")
    inputs: dict[str, str] = Field({}, description="Input columns and their modality: column = modality.")
    targets: tuple[Target, ...] = Field((), description="What is predicted.")
    data: Data = Data()
    split: Split = Split()
    fit: Fit = Fit()
    audit: Audit = Audit()
    fairness: Fairness = Fairness()
    privacy: Privacy = Privacy()
    unsure: Unsure = Unsure()
    compress: Compress = Compress()
    review: Review = Review()
    card: Card = Card()
    objectives: dict[str, float] = Field({}, description="Files in objectives/ with their strength: fgm = 0.3.")
    gates: dict[str, str] = Field({}, description='Limits on findings that must hold: accuracy = ">= 0.90".')
    search: dict[str, str] = Field({}, description='What `tune` tries: "fit.epochs" = "1..5"; choices are written a|b.')

    @field_validator("gates", mode="before")
    @classmethod
    def _limits(cls, gates: Any) -> Any:
        """TOML reads ``urgency.accuracy = ">= 0.9"`` as a table inside a table."""
        gates = dict(_flatten(gates)) if isinstance(gates, Mapping) and gates else gates
        for name, limit in gates.items() if isinstance(gates, Mapping) else ():
            if not isinstance(limit, str) or not GATE.match(limit):
                raise ValueError(f'gates.{name} = {limit!r} is no limit\nwrite for example ">= 0.90"')
        return gates

    @field_validator("search", mode="before")
    @classmethod
    def _dotted(cls, search: Any) -> Any:
        """TOML reads ``fit.epochs = "1..5"`` as a table inside a table."""
        return dict(_flatten(search)) if isinstance(search, Mapping) and search else search

    @model_validator(mode="after")
    def _complete(self) -> Task:
        if self.split.by in ("group", "time") and not self.split.column:
            raise ValueError(f'split.by = "{self.split.by}" needs a column\nset split.column')
        names = [target.name for target in self.targets]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"two targets are named {name!r}\ngive each target its own name")
        self._reviewed()
        return self

    def _reviewed(self) -> None:
        """Rules of review name columns and labels that there are; labels that the task does not list see `check`."""
        for name, one in self.review.slices.items():
            if one.column and self.inputs and one.column not in self.inputs:
                problem = f"review.slices.{name}.column = {one.column!r} is no input column"
                raise ValueError(f"{problem}\n{nearest(one.column, self.inputs)}")
        labels = {label for target in self.targets for label in (*target.labels, *target.columns)}
        if self.targets and all(target.labels or target.columns for target in self.targets):
            for label in self.review.labels:
                if label not in labels:
                    raise ValueError(f"review.labels names {label!r}, which is no label\n{nearest(label, labels)}")


Sources = dict[str, str]
"""Where each setting came from: dotted name → ``default``, ``file`` or ``flag``."""


def read_task(path: Path | None = None, flags: Mapping[str, Any] | None = None) -> tuple[Task, Sources]:
    """A task from a TOML file and flags; flags win.

    Parameters
    ----------
    path : TOML file; relative file names in its ``[data]`` count from its folder
    flags : dotted names and values, such as ``{"fit.minutes": 2, "targets.0.column": "category"}``

    Raises
    ------
    TunewrightError
        The file cannot be read, a key is unknown (with the nearest known one), a value does not fit.
    """
    tree: dict[str, Any] = {}
    place = "the flags"
    if path is not None:
        place = str(path)
        try:
            tree = tomllib.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise TunewrightError(f"{path}: there is no such file", "check the path of --task") from None
        except OSError as error:
            raise TunewrightError(f"{path}: cannot be read: {error.strerror}", "check the path of --task") from None
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise TunewrightError(
                f"{path}: not TOML: {error}", "mend the line; `tunewright schema` helps editors"
            ) from None
        data = tree.get("data")
        for part in ("train", "test", "validation"):
            if isinstance(data, dict) and isinstance(data.get(part), str) and data[part]:
                data[part] = str(path.parent / data[part])
        audit = tree.get("audit")
        for name in ("terms", "strange"):
            if isinstance(audit, dict) and isinstance(audit.get(name), str) and audit[name]:
                audit[name] = str(path.parent / audit[name])
    from_file = set(_leaves(tree))
    for dotted, value in (flags or {}).items():
        _plant(tree, dotted, value)
    try:
        task = Task.model_validate(tree)
    except ValidationError as error:
        raise _readable(error, place) from None
    from_flags = set(flags or {})
    sources = {
        name: "flag" if _covered(name, from_flags) else "file" if _covered(name, from_file) else "default"
        for name in settings(task)
    }
    return task, sources


def settings(task: Task) -> dict[str, Any]:
    """Every setting of a task under its dotted name."""
    return dict(_flatten(task.model_dump(mode="json")))


def varied(task: Task, values: Mapping[str, Any], place: str = "the settings") -> Task:
    """The task with other values of some settings, by their dotted names.

    Raises
    ------
    TunewrightError
        A value does not fit; ``place`` is what the message calls the place where it was written.
    """
    tree = task.model_dump()
    for dotted, value in values.items():
        _plant(tree, dotted, value)
    try:
        return Task.model_validate(tree)
    except ValidationError as error:
        raise _readable(error, place) from None


def parse_set(text: str) -> tuple[str, Any]:
    """``key=value`` of a ``--set`` flag; the value is TOML, or else a plain text.

    >>> parse_set("fit.minutes=2")
    ('fit.minutes', 2)
    >>> parse_set('gates.accuracy=">= 0.90"')
    ('gates.accuracy', '>= 0.90')
    """
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise TunewrightError(f"--set {text!r} is not key=value", "write for example --set fit.minutes=2")
    try:
        return key.strip(), tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        return key.strip(), value.strip()


def _flatten(tree: Any, prefix: str = "") -> list[tuple[str, Any]]:
    if isinstance(tree, dict) and tree:
        items = tree.items()
    elif isinstance(tree, list) and tree and isinstance(tree[0], dict):
        items = enumerate(tree)  # type: ignore[assignment]
    else:
        return [(prefix, tree)]
    return [leaf for key, value in items for leaf in _flatten(value, f"{prefix}.{key}" if prefix else str(key))]


def _leaves(tree: dict[str, Any]) -> list[str]:
    return [name for name, _ in _flatten(tree)]


def _covered(name: str, given: set[str]) -> bool:
    return any(name == one or name.startswith(f"{one}.") or one.startswith(f"{name}.") for one in given)


def _steps(dotted: str) -> list[str]:
    """The keys on the way to a setting; a free name (of a column, a gate) may hold dots itself."""
    free = FREE_NAMES.fullmatch(dotted)
    return [*free[1].split("."), free[2]] if free else dotted.split(".")


def _plant(tree: dict[str, Any], dotted: str, value: Any) -> None:
    *path, last = _steps(dotted)
    place: Any = tree
    for depth, step in enumerate(path):
        key = _key(place, step, path[:depth])
        if isinstance(place, dict):
            place.setdefault(key, [] if key == "targets" else {})
        place = place[key]
    place[_key(place, last, path)] = value


def _key(place: Any, step: str, path: Sequence[str]) -> str | int:
    """A step as the key of a section, or as the number of an entry in a list of sections, which may grow by one."""
    dotted = ".".join(path)
    if isinstance(place, dict):
        return step
    if not isinstance(place, list):
        raise TunewrightError(
            f"--set {dotted}.{step}: {dotted} is a value, not a section", "`tunewright schema` lists the keys"
        )
    if not step.isdecimal() or len(step) > 4 or int(step) > len(place):
        raise TunewrightError(
            f"--set {dotted}.{step}: there is no such entry", f"{dotted}.{len(place)} is the next one"
        )
    if int(step) == len(place):
        place.append({})
    return int(step)


def _section_at(location: tuple[Any, ...]) -> type[BaseModel]:
    section: Any = Task
    for step in location:
        if isinstance(step, int):
            continue
        if get_origin(section) is dict:  # the step is a name that the user chose
            section = get_args(section)[1]
            continue
        annotation = section.model_fields[step].annotation
        while get_origin(annotation) in (tuple, Annotated):
            annotation = get_args(annotation)[0]
        section = annotation
    return section  # type: ignore[no-any-return]


def _readable(error: ValidationError, place: str) -> TunewrightError:
    first = error.errors()[0]
    location, kind = tuple(first["loc"]), first["type"]
    dotted = ".".join(str(step) for step in location)
    if kind == "extra_forbidden":
        known = _section_at(location[:-1]).model_fields
        return TunewrightError(f"{place}: unknown key {dotted!r}", nearest(str(location[-1]), known))
    if kind == "value_error":
        problem, _, remedy = str(first["ctx"]["error"]).partition("\n")
        return TunewrightError(f"{place}: {problem}", remedy)
    message = first["msg"][0].lower() + first["msg"][1:]
    return TunewrightError(
        f"{place}: {dotted} = {first['input']!r}: {message}", "`tunewright schema` lists what each key takes"
    )
