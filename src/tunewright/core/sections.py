"""Sections of the task: what is predicted, where rows lie, how parts are cut, how to learn, what is judged by."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from tunewright.core.terms import read_terms


class Section(BaseModel):
    """Frozen; a key that it does not have is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Target(Section):
    """One thing that the task predicts."""

    column: str = Field("", description="Column that holds the labels or the number.")
    name: str = Field("", description="Name in answers and reports; default: the column.")
    kind: str = Field("classify", description="What is predicted: a file's name in kinds/, such as classify.")
    labels: tuple[str, ...] = Field(
        (), description="All labels, in order; default: those of the training rows, sorted."
    )
    separator: str = Field("|", description="multilabel: what stands between the labels of one cell.")
    columns: tuple[str, ...] = Field((), description="multilabel: one 0/1 column per label, instead of `column`.")
    merge: dict[str, tuple[str, ...]] = Field({}, description='Labels to read as one: new = ["old", "older"].')
    weight: float = Field(1.0, gt=0.0, description="Of its loss and score beside those of the task's other targets.")

    @model_validator(mode="before")
    @classmethod
    def _named(cls, data: Any) -> Any:
        if isinstance(data, Mapping) and not data.get("name"):
            return {**data, "name": data.get("column") or "labels"}
        return data

    @field_validator("labels")
    @classmethod
    def _different(cls, labels: tuple[str, ...]) -> tuple[str, ...]:
        twice = next((label for label in labels if labels.count(label) > 1), None)
        if twice is not None:
            raise ValueError(f"label {twice!r} is listed twice\nlist each label once")
        return labels


class Data(Section):
    """Where the rows lie and how they are read."""

    train: str = Field("", description="Training rows: a file, or a folder with one folder of texts per class.")
    test: str = Field("", description="Test rows; default: a part split off the training rows.")
    validation: str = Field("", description="Validation rows; default: a part split off the training rows.")
    format: str = Field("auto", description="How rows lie in the files: a file's name in data/formats/, or auto.")
    separator: str = Field("", description="Text between two cells; default: found in the file.")
    header: bool = Field(True, description="The first line holds the column names.")
    columns: tuple[str, ...] = Field((), description="Column names, where the file has none or to replace them.")
    encoding: str = Field("auto", description="Encoding of text files; auto finds utf-8, gb18030, latin-1 and says so.")
    rename: dict[str, str] = Field({}, description="Columns to read under another name: old = new.")
    sheet: str = Field("", description="Sheet of a spreadsheet; default: the first.")
    drop_empty: bool = Field(False, description="Leave out rows whose input or label is empty, instead of stopping.")


class Split(Section):
    """How parts are cut when they are not given."""

    by: Literal["label", "group", "time"] = Field(
        "label", description="label = stratified; group or time need a column."
    )
    column: str = Field("", description="The column for by = group or by = time.")
    test: float = Field(0.2, ge=0.0, lt=1.0, description="Share of the rows for the test part, if none is given.")
    validation: float = Field(0.1, gt=0.0, lt=1.0, description="Share of the training rows that methods are judged on.")
    folds: int = Field(
        0, ge=0, description="Cross-validation with so many folds; 0 = none. With it `test` is 0, unless it is set."
    )

    @model_validator(mode="before")
    @classmethod
    def _all_rows(cls, data: Any) -> Any:
        """Where every row is answered out of its fold, no test part has to be cut off."""
        return {"test": 0.0, **data} if isinstance(data, Mapping) and data.get("folds") else data

    @field_validator("folds")
    @classmethod
    def _more_than_one(cls, folds: int) -> int:
        if folds == 1:
            raise ValueError("split.folds = 1: one fold leaves no rows to learn from\nset 2 or more, or 0 for none")
        return folds


class Fit(Section):
    """How to learn."""

    method: str = Field("auto", description="A file's name in methods/, or auto: the best that the minutes allow.")
    backbone: str = Field("auto", description="Name, folder or hub id of the pretrained model; auto: by language.")
    minutes: float = Field(5.0, gt=0.0, description="Time for the whole fit, in minutes.")
    epochs: int = Field(3, ge=1, description="Passes over the training rows, if the minutes allow.")
    batch_rows: int = Field(64, ge=1, description="Rows of one gradient step.")
    learning_rate: float = Field(0.0, ge=0.0, description="Peak step size of AdamW; 0: the method's own.")
    warmup: float = Field(0.1, ge=0.0, lt=1.0, description="Share of the steps in which the step size rises.")
    weight_decay: float = Field(0.01, ge=0.0, description="Decay of weight matrices in AdamW.")
    average: float = Field(0.999, ge=0.0, lt=1.0, description="Decay of the moving average of weights; 0 = none.")
    size: int = Field(
        0, ge=0, description="Rank of lora, adalora; width of adapter; length of prefix, prompt; 0: the method's own."
    )
    layers: int = Field(0, ge=0, description="top: how many of the last layers are trained; 0: the method's own.")
    layer_decay: float = Field(
        1.0, gt=0.0, le=1.0, description="Step size of each layer over that of the one above it; 1 = all alike."
    )
    oversample: float = Field(
        0.0, ge=0.0, le=1.0, description="Repeat rows of rare classes: 0 = never, 1 = as often as the largest class."
    )
    typos: float = Field(
        0.0, ge=0.0, le=1.0, description="Share of the training rows that are added with typing errors; 0 = none."
    )
    blend: bool = Field(
        True,
        description="auto blends words in where that gains; false: the encoder reads tokens alone.",
    )
    patience: int = Field(2, ge=1, description="Judgements without a gain after which training stops.")
    soup: int = Field(0, ge=0, description="Trainings whose weights are averaged as far as that helps; 0 = none.")
    soup_rates: bool = Field(False, description="Trainings of a soup step at 1, 1/2 and 2 times the rate, in turn.")
    ensemble: int = Field(0, ge=0, description="Trainings whose mean answers one further model learns; 0 = none.")
    max_tokens: int = Field(0, ge=0, description="Longest window in tokens; 0: the backbone's own.")
    shared: bool = Field(
        False, description="Ship what training left of the backbone as a part of its own, which bundles share."
    )
    recompute: Literal["auto", "on", "off"] = Field(
        "auto", description="Compute activations twice instead of keeping them; auto: for long windows, or if need be."
    )
    prefix: str | None = Field(None, description="Text put before every input; default: the backbone's own.")
    precision: Literal["auto", "fp32", "bf16"] = Field(
        "auto", description="Arithmetic of training; auto: bf16 if native."
    )
    device: str = Field("auto", description="auto, cpu or cuda.")
    threads: int = Field(0, ge=0, description="Threads; 0: what the container's CPU quota allows.")
    workers: int = Field(1, ge=1, description="Processes that share the steps of a training; `tune`: trials at once.")
    watch: str = Field("", description="Who follows the training: tensorboard, mlflow, wandb, or several with commas.")

    @model_validator(mode="after")
    def _several(self) -> Fit:
        for name, count in (("soup", self.soup), ("ensemble", self.ensemble)):
            if count == 1:
                raise ValueError(f"fit.{name} = 1: one training has nothing to be joined with\nset 2 or more, or 0")
        if self.soup and self.ensemble:
            raise ValueError("fit.soup and fit.ensemble exclude each other\nset one of them to 0")
        return self


class Audit(Section):
    """What is looked at beside the answers when a model is judged."""

    groups: tuple[str, ...] = Field((), description="Columns whose groups are to be treated alike, such as gender.")
    strange: str = Field("", description="File of rows that belong to no label: are they turned away?")
    terms: dict[str, tuple[tuple[str, ...], ...]] = Field(
        {}, description='Further identity terms that are swapped: name = [["he", "she"]]; or a TOML or JSON file.'
    )

    @field_validator("terms", mode="before")
    @classmethod
    def _interchangeable(cls, terms: Any) -> Any:
        return read_terms(terms)


class Fairness(Section):
    """What is done so that the groups of `audit.groups` are treated alike."""

    reweigh: bool = Field(False, description="Rows weigh as if label and group were independent of each other.")
    augment: bool = Field(False, description="Training rows with their identity terms swapped are added.")
    thresholds: bool = Field(
        False, description="Decide labels where groups differ least on validation rows; no group is asked for later."
    )


class Unsure(Section):
    """When a row is left without a label."""

    error: float = Field(
        0.0,
        ge=0.0,
        le=0.5,
        description="Rate of errors that answers keep to, unsure ones left open; 0: all is answered.",
    )
    per_class: bool = Field(False, description="The rate holds for each class, not on the whole alone.")
    out_of_scope: float = Field(
        0.0, ge=0.0, le=0.5, description="Share of known questions that may be turned away as strange; 0 = none are."
    )
    detector: Literal["auto", "probability", "energy", "nearest", "mahalanobis", "combined"] = Field(
        "auto", description="What strange rows are told by; auto: the best on classes that are held out."
    )


class Compress(Section):
    """What a compressed bundle may lose against the one that it was made from."""

    accuracy_lost: float = Field(
        0.005, ge=0.0, le=1.0, description="Largest loss of the first measure; of an error, by which share it may grow."
    )
    flips: float = Field(0.02, ge=0.0, le=1.0, description="Largest share of rows that are answered otherwise.")
    recall_lost: float = Field(1.0, ge=0.0, le=1.0, description="Largest loss of recall of any class; 1 = any.")
    score_shift: float = Field(1.0, ge=0.0, le=1.0, description="Largest mean change of scores; 1 = any.")
    minutes: float = Field(10.0, gt=0.0, description="Time for each training of `prune` and `distill`, in minutes.")
    epochs: int = Field(0, ge=0, description="Passes over the rows in such a training; 0: the step's own.")
    learning_rate: float = Field(0.0, ge=0.0, description="Peak step size of it; 0: the step's own.")
    temperature: float = Field(2.0, ge=1.0, le=20.0, description="What the teacher's logits are divided by.")
    importance: Literal["taylor", "magnitude"] = Field(
        "taylor", description="What `prune` keeps: what moves the loss on training rows, or what has large weights."
    )
