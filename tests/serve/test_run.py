"""Serving folders: loading, names, a missing extra, and what must never be imported."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request
from pathlib import Path
from types import ModuleType
from urllib.parse import quote

import pytest

from tunewright.core.bundle import read_manifest
from tunewright.core.errors import MissingExtra, TunewrightError
from tunewright.runtime.predictor import Predictor
from tunewright.serve import run
from tunewright.serve.answers import Writer, encode


def test_two_bundles_of_one_name_are_an_error(bayes: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run.Predictor, "load", lambda folder, threads: bayes.topics("intents"))
    with pytest.raises(TunewrightError, match="a and b are both named 'intents' → serve one of them"):
        run.load([Path("a"), Path("b")])


def test_bundles_keep_their_order(bayes: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run.Predictor, "load", lambda folder, threads: bayes.topics(folder.name))
    assert list(run.load([Path("z"), Path("a")])) == ["z", "a"]


def test_a_folder_without_a_bundle_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(TunewrightError, match="there is no bundle"):
        run.serve([tmp_path], port=0)


@pytest.mark.parametrize("library", ["fastapi", "uvicorn", "prometheus_client"])
def test_a_missing_library_names_the_extra(library: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [one for one in sys.modules if one.startswith("tunewright.serve.") and one != "tunewright.serve.run"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(
        MissingExtra, match=rf"needs {library}, which is not installed → pip install 'tunewright\[serve\]'"
    ):
        run.serve([tmp_path])


def test_a_real_bundle_answers_over_a_real_connection(request: pytest.FixtureRequest) -> None:
    """``tiny_bundle`` is a folder that ``fit`` wrote."""
    try:
        folder = Path(request.getfixturevalue("tiny_bundle"))
    except pytest.FixtureLookupError:
        pytest.skip("there is no fixture tiny_bundle yet")
    manifest = read_manifest(folder)
    record = dict.fromkeys(manifest.inputs, "how do i get my money back")
    code = "import sys, pathlib; from tunewright.serve.run import serve; serve([pathlib.Path(sys.argv[1])], port=0)"
    with subprocess.Popen([sys.executable, "-c", code, str(folder)], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            address = process.stdout.readline().split(" at ")[1].split()[0]
            query = json.dumps({"inputs": [record, record], "top": 2}).encode()
            with urllib.request.urlopen(f"{address}/v1/{quote(manifest.name)}/predict", query, timeout=60) as response:
                answer = json.load(response)
        finally:
            process.terminate()
        assert process.wait(30) == 0
    assert answer["bundle"] == manifest.digest
    told = [{**one, "id": ""} for one in answer["predictions"]]
    assert [one["target"] for one in told] == [target["name"] for target in manifest.targets] * 2
    assert told[: len(manifest.targets)] == told[len(manifest.targets) :]
    expected = Predictor.load(folder).answers([record, record], 2)
    body = Writer(told[0]["target"], type(expected[told[0]["target"]][0])).body(expected[told[0]["target"]][0])
    assert json.loads(encode([{**body, "id": ""}], ""))["predictions"][0] == told[0]


def test_serving_never_imports_the_training_libraries() -> None:
    code = (
        "import sys, tunewright.serve.run, tunewright.serve.listen, tunewright.monitor.events\n"
        "print(sorted({'torch', 'transformers', 'sklearn', 'scipy'} & set(sys.modules)))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"
