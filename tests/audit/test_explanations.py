"""Faithfulness on models whose reasons are known: true explanations gain, wrong ones lose, chance does neither."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tunewright.audit import Context, asked_by, audit
from tunewright.audit import explanations as plugin
from tunewright.audit._explainers import EXPLAINERS, affordable
from tunewright.audit._faithfulness import MEASURES, faithfulness, mean_with_interval
from tunewright.core.errors import MissingExtra, TunewrightError
from tunewright.core.sections import Target
from tunewright.core.task import Task
from tunewright.core.types import Finding
from tunewright.data.dataset import read
from tunewright.data.rows import rows_of
from tunewright.kinds.classify import Classify
from tunewright.kinds.regress import Regress
from tunewright.pipeline.judge import judge
from tunewright.report.sections import sections
from tunewright.runtime import ways
from tunewright.runtime.ways import WAYS, Way, differences, one_by_one

FILL = [f"w{letter}" for letter in "abcdefghij"]


def rows(n: int = 30) -> list[str]:
    draw = np.random.default_rng(1)
    cues = ["stolen" if at % 2 else "refund" for at in range(n)]
    return [" ".join(draw.permutation([*draw.choice(FILL, 9), cue])) for cue in cues]


@pytest.fixture
def model(planted: Any) -> Any:
    words = {"stolen": (0.0, 4.0), "refund": (4.0, 0.0), "wa": (0.0, 0.5), "wb": (0.5, 0.0)}
    return planted({"label": Classify(("money", "theft"))}, {"label": words})


@pytest.fixture
def context(model: Any) -> Context:
    texts = rows()
    return Context(model.kinds["label"], model.logits_of([texts])["label"], inputs={"text": texts}, predictor=model)


def test_the_areas_are_those_counted_by_hand(planted: Any) -> None:
    model = planted({"label": Classify(("no", "yes"))}, {"label": {"yes": (0.0, 2.0), "bit": (0.0, 1.0)}})
    found = faithfulness(model, ["bit yes so"], "occlusion", k=1)
    p3, p2, p1, p0 = (1 / (1 + np.exp(-odds)) for odds in (3.0, 2.0, 1.0, 0.0))
    deletion = (p3 / 2 + p1 + p0 + p0 / 2) / 3
    insertion = (p0 / 2 + p2 + p3 + p3 / 2) / 3
    assert found.own[0] == pytest.approx([deletion, insertion, p3 - p2])
    assert found.both == pytest.approx([insertion - deletion])
    assert found.gain[0] == pytest.approx((found.chance - found.own)[0] * [1, -1, 1])


@pytest.mark.parametrize("method", WAYS)
def test_a_true_explanation_beats_chance_in_every_measure(model: Any, method: str) -> None:
    found = faithfulness(model, rows(), method)
    assert found.own.shape == (30, len(MEASURES))
    for at in range(len(MEASURES)):
        value, low, high = mean_with_interval(found.gain[:, at], 0)
        assert 0.02 < low <= value <= high


def test_an_explanation_turned_round_loses_and_one_by_chance_does_neither(
    model: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw = np.random.default_rng(0)
    turned = Way(one_by_one, lambda kept, scores: (-differences(kept, scores)[0], None))
    chance = Way(one_by_one, lambda kept, scores: (draw.random(kept.shape[1]), None))
    monkeypatch.setitem(ways.WAYS, "turned", turned)
    monkeypatch.setitem(ways.WAYS, "chance", chance)
    assert mean_with_interval(faithfulness(model, rows(), "turned").gain[:, 0], 0)[2] < 0
    _, low, high = mean_with_interval(faithfulness(model, rows(60), "chance").both, 0)
    by_chance = faithfulness(model, rows(60), "occlusion").chance
    assert low <= float((by_chance[:, 1] - by_chance[:, 0]).mean()) <= high


def test_numbers_have_no_such_curves(planted: Any) -> None:
    with pytest.raises(TunewrightError, match="target 'size' has no labels → measure explanations of classify"):
        faithfulness(planted({"size": Regress(0.0, 1.0)}, {"size": {}}), ["a b"], "occlusion")


def test_it_runs_on_request_only(context: Context) -> None:
    assert plugin.COSTLY
    assert not [one for one in audit(context) if one.audit == "explanations"]
    assert [one.metric for one in audit(context, ["explanations"])] == list(plugin.metrics(context.kind))


@pytest.mark.parametrize(
    ("gate", "asked"),
    [
        ("faithfulness.lime", True),
        ("explanations.deletion_gain.occlusion.low", True),
        ("topic.faithfulness.occlusion", True),
        ("accuracy", False),
        ("fold_mean.accuracy", False),
    ],
)
def test_a_gate_on_it_asks_for_it(context: Context, gate: str, asked: bool) -> None:
    assert asked_by({gate: ">= 0"}, context.kind) == ["explanations"] * asked


def test_a_gate_on_it_is_judged(model: Any) -> None:
    texts = rows(40)
    labels = ["theft" if "stolen" in text else "money" for text in texts]
    gates = {"accuracy": ">= 0.9", "faithfulness.occlusion": ">= 0.2", "sufficiency_gain.lime.low": "> 5"}
    task = Task(inputs={"text": "text"}, targets=(Target(column="label", name="label"),), gates=gates)
    found = judge(model, task, rows_of(read({"text": texts, "label": labels}, task.data), task))
    outcomes = {one.metric: one.passed for one in found if one.limit}
    assert outcomes == {"accuracy": True, "faithfulness.occlusion": True, "sufficiency_gain.lime": False}


def test_findings_gains_and_the_exhibits(context: Context) -> None:
    found = audit(context, ["explanations"])
    by_name = {one.metric: one for one in found}
    assert by_name["deletion_gain.occlusion"].low > 0  # type: ignore[operator]
    assert by_name["deletion_gain.shap"].low > 0  # type: ignore[operator]
    measured = [one for one in found if one.value is not None]
    assert all(one.n == 30 and one.low <= one.value <= one.high for one in measured)  # type: ignore[operator]
    silent = {one.metric: one.note for one in found if one.value is None}
    assert silent["faithfulness.ig"] == "not run, because the model at hand has no gradients"
    assert silent["random_weights.lime"] == "not run, because the model is no bundle at hand"
    assert len(silent) == 8
    areas, drivers = found[0].exhibits
    assert [row[0] for row in areas.rows] == ["occlusion", "lime", "shap", "random order"]
    assert [row[-1] for row in areas.rows] == [30, 30, 30, 90]
    assert areas.rows[0][1] < areas.rows[3][1]
    assert areas.rows[0][2] > areas.rows[3][2]
    first = {label: next(row for row in drivers.rows if row[0] == label) for label in ("money", "theft")}
    assert first["money"][1:] == ("refund", pytest.approx(4.0), 15)
    assert first["theft"][1:] == ("stolen", pytest.approx(4.0), 15)
    assert found == audit(context, ["explanations"])
    section = sections(found)[0]
    for text in (found[0].note, areas.note, drivers.note, areas.title, drivers.title, *areas.columns, *drivers.columns):
        assert section.say(text)[1] != text, text


def test_words_of_few_rows_and_with_digits_are_not_shown(model: Any, context: Context) -> None:
    weights = model.weights["label"]
    weights |= {"rare": (0.0, 9.0), "a4711": (0.0, 9.0)}
    texts = [f"{text} a4711" for text in rows()]
    texts[:4] = [f"rare {text}" for text in texts[:4]]
    given = replace(context, logits=model.logits_of([texts])["label"], inputs={"text": texts})
    (finding, *_) = audit(given, ["explanations"])
    assert {"stolen", "refund"} & {row[1] for row in finding.exhibits[1].rows}
    assert not {"rare", "a4711"} & {row[1] for row in finding.exhibits[1].rows}


@pytest.mark.parametrize(
    ("change", "note"),
    [
        ({"predictor": object()}, "not run, because the model at hand gives no log-odds for new texts"),
        ({"inputs": {"text": ["one"] * 30}}, "not run, because only 0 rows have two words or more"),
        ({"predictor": None}, "not run, because the model at hand gives no log-odds for new texts"),
        ({"logits": None}, "not run, because there are no answers of a model"),
    ],
)
def test_what_it_cannot_measure_it_says(context: Context, change: dict[str, Any], note: str) -> None:
    found = audit(replace(context, **change), ["explanations"])
    assert {(one.value, one.note) for one in found} == {(None, note)}
    assert len(found) == len(plugin.metrics(context.kind))


def test_which_explainer_to_believe(model: Any, context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    def note_with(own: Any, chance: Any) -> str:
        absent = {"shap": "not run, because shap is not installed", "ig": "not run, because torch is not installed"}
        monkeypatch.setattr(plugin, "at_hand", lambda context: ({"occlusion": "occlusion", "lime": "lime"}, absent))
        for name, weigh in {"occlusion": own, "lime": chance}.items():
            monkeypatch.setitem(ways.WAYS, name, Way(one_by_one, weigh))
        found: list[Finding] = audit(context, ["explanations"])
        return found[0].note

    def turned(kept: Any, scores: Any) -> Any:
        return -differences(kept, scores)[0], None

    assert note_with(differences, turned) == "believe occlusion: it is more faithful than lime"
    assert note_with(turned, differences) == "believe lime: it is more faithful than occlusion"
    assert note_with(differences, differences) == "believe occlusion or lime: these texts cannot tell them apart"
    assert note_with(turned, turned) == "no explainer is better than chance here: believe none"


def test_what_is_not_installed_is_said_and_the_others_stand(context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tunewright.audit._shapley", None)
    monkeypatch.delattr("tunewright.audit._shapley", raising=False)

    def without(seed: int | None) -> Any:
        raise MissingExtra("`explain --method ig`", "captum", "audit")

    found = {one.metric: one for one in audit(replace(context, gradients=without), ["explanations"])}
    assert found["faithfulness.shap"].value is None
    assert "is not installed" in found["faithfulness.shap"].note
    assert found["faithfulness.ig"].note == "not run, because captum is not installed"
    assert found["faithfulness.lime"].value is not None


def test_a_model_that_can_only_be_asked_is_judged_alike(model: Any, context: Context) -> None:
    asked = replace(context, predictor=None, ask=lambda columns: model.logits_of([columns["text"]])["label"])
    for one, other in zip(audit(asked, ["explanations"]), audit(context, ["explanations"]), strict=True):
        assert (one.metric, one.value, one.low, one.high) == (other.metric, other.value, other.low, other.high)
    silent = audit(replace(asked, scores=False), ["explanations"])
    assert {one.note for one in silent} == {"not run, because the model at hand gives no log-odds for new texts"}


def test_the_dear_ones_explain_fewer_texts(context: Context) -> None:
    short, long, huge = ({"text": ["x" * size] * 60} for size in (40, 400, 9000))
    assert [affordable(way, short) for way in ("occlusion", "lime")] == [50, 50]
    assert [affordable(way, long) for way in ("occlusion", "lime")] == [50, 5]
    assert [affordable(way, huge) for way in ("occlusion", "lime")] == [0, 0]
    texts = [f"{text} {'x' * 9000}" for text in rows()]
    found = audit(replace(context, inputs={"text": texts}), ["explanations"])
    assert {one.note for one in found} == {
        f"not run, because {way} reads too many variants of texts as long as these" for way in EXPLAINERS[:3]
    } | {"not run, because the model at hand has no gradients"}
