"""MLflow: the calls that its documentation names, with arguments that its server takes. The module is a stand-in."""

from __future__ import annotations

import importlib
import re
import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from tunewright.core.journal import Following

Calls = list[tuple[str, tuple[Any, ...], dict[str, Any]]]
NAME = re.compile(r"^[/\w.\- ]*$")
"""What a name may hold, as the server says it."""


class Mlflow(ModuleType):
    """Remembers the calls; its signatures are those of the documentation."""

    def __init__(self) -> None:
        super().__init__("mlflow")
        self.calls: Calls = []
        self.active: Any = None

    def active_run(self) -> Any:
        return self.active

    def start_run(
        self, run_id: Any = None, experiment_id: Any = None, run_name: Any = None, nested: bool = False
    ) -> Any:
        self.calls.append(("start_run", (), {"run_id": run_id, "run_name": run_name, "nested": nested}))
        return SimpleNamespace(info=SimpleNamespace(run_id=run_id or "id-1"))

    def log_params(self, params: dict[str, Any]) -> None:
        assert all(NAME.match(name) and len(name) <= 250 and len(value) <= 500 for name, value in params.items())
        assert not any("/" in name for name in params), "which stands for a folder"
        assert len(params) <= 100
        self.calls.append(("log_params", (params,), {}))

    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        assert all(NAME.match(name) and isinstance(value, float) for name, value in metrics.items())
        self.calls.append(("log_metrics", (metrics,), {"step": step}))

    def end_run(self, status: str = "FINISHED") -> None:
        assert status in ("FINISHED", "FAILED", "KILLED")
        self.calls.append(("end_run", (), {"status": status}))


@pytest.fixture
def mlflow(monkeypatch: pytest.MonkeyPatch) -> Mlflow:
    fake = Mlflow()
    monkeypatch.setitem(sys.modules, "mlflow", fake)
    monkeypatch.delitem(sys.modules, "tunewright.train.watchers.mlflow", raising=False)
    return fake


def told(following: Following, records: list[dict[str, Any]], ended: str = "finished") -> None:
    watcher = importlib.import_module("tunewright.train.watchers.mlflow").MlflowWatcher(following)
    for record in records:
        watcher.note(record)
    watcher.close(ended)


def test_the_calls_of_a_run(mlflow: Mlflow, following: Following, records: list[dict[str, Any]]) -> None:
    told(following, records)
    assert mlflow.calls[0] == ("start_run", (), {"run_id": None, "run_name": "intents", "nested": False})
    assert mlflow.calls[1] == ("log_params", ({"fit.epochs": "3", "inputs.text 列": "text"},), {})
    metrics = [(*arguments, named["step"]) for name, arguments, named in mlflow.calls if name == "log_metrics"]
    assert metrics[0] == ({"full/validation/accuracy": 0.25, "full/validation/best": 0.25}, 0)
    assert metrics[1][0]["full/loss"] == 2.0
    assert metrics[1][1] == 1
    assert metrics[-2] == ({"final/accuracy": 0.8}, 0)
    assert mlflow.calls[-1] == ("end_run", (), {"status": "FINISHED"})


@pytest.mark.parametrize(
    ("ended", "status"),
    [("finished", "FINISHED"), ("interrupted", "KILLED"), ("failed", "FAILED"), ("refused", "FAILED")],
)
def test_how_it_ended(mlflow: Mlflow, following: Following, ended: str, status: str) -> None:
    told(following, [], ended)
    assert mlflow.calls[-1] == ("end_run", (), {"status": status})


def test_after_a_kill_the_same_run_goes_on_and_parameters_are_not_told_again(
    mlflow: Mlflow, following: Following, records: list[dict[str, Any]]
) -> None:
    told(following, records[:3])
    mlflow.calls.clear()
    told(following, records)
    assert mlflow.calls[0] == ("start_run", (), {"run_id": "id-1", "run_name": None, "nested": False})
    assert "log_params" not in [name for name, _, _ in mlflow.calls]


def test_in_a_run_of_the_users_own_it_is_nested(mlflow: Mlflow, following: Following) -> None:
    mlflow.active = object()
    told(following, [])
    assert mlflow.calls[0][2]["nested"] is True


def test_many_long_and_odd_parameters_are_brought_into_form(mlflow: Mlflow, following: Following) -> None:
    many = {f"inputs.a?b//{at}{'y' * 9_000 * (at == 1)}": ["x" * 9_000, "flag"] for at in range(250)}
    told(following, [{"event": "settings", "seconds": 0.0, "settings": many}])
    params = [arguments[0] for name, arguments, _ in mlflow.calls if name == "log_params"]
    assert [len(one) for one in params] == [100, 100, 50]
    assert "inputs.a_b__0" in params[0]
