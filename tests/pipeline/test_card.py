"""The verb card: from a bundle to card and evidence, with the report of a later audit, and what is refused."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import tunewright
from tunewright.core.bundle import MANIFEST, digest_of
from tunewright.core.errors import TunewrightError


def with_task(bundle: Path, folder: Path, **sections: Any) -> Path:
    """A copy of a bundle whose task says more."""
    shutil.copytree(bundle, folder)
    manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    manifest["task"] |= sections
    manifest["digest"] = digest_of(manifest)
    (folder / MANIFEST).write_text(json.dumps(manifest), encoding="utf-8")
    return folder


@pytest.fixture
def later(tiny_bundle: Path, tmp_path: Path) -> Path:
    """What a later audit of the bundle printed."""
    path = tmp_path / "report.json"
    digest = tunewright.load(tiny_bundle).manifest.digest
    found = [
        {"audit": "accuracy", "metric": "accuracy", "value": 0.123, "low": 0.1, "high": 0.2, "n": 77},
        {"audit": "robustness", "metric": "typo.drop", "value": 0.321, "n": 77, "limit": "<= 0.1", "passed": False},
    ]
    path.write_text(json.dumps({"findings": found, "bundle": digest, "data": "sha256:later"}), encoding="utf-8")
    return path


def test_the_command_prints_the_card_and_writes_the_pack(
    cli: Callable[..., Any], tiny_bundle: Path, tmp_path: Path
) -> None:
    ran = cli("card", tiny_bundle, "--out", tmp_path / "pack")
    assert ran.code == 0
    manifest = tunewright.load(tiny_bundle).manifest
    assert ran.out.startswith(f"# {manifest.name}: Model card")
    written = {path.name: path.read_text(encoding="utf-8") for path in (tmp_path / "pack").iterdir()}
    assert set(written) == {"card.md", "card.html", "evidence.md", "evidence.html"}
    assert written["card.md"] == ran.out.removesuffix("\n")
    for name in ("evidence.md", "evidence.html"):
        assert manifest.digest in written[name]
        assert manifest.data["digest"] in written[name]
        assert manifest.run["versions"]["onnxruntime"] in written[name]
        assert f"{manifest.metrics['accuracy']['value']:.3f}" in written[name]


def test_the_bundle_s_own_card_says_the_same(tiny_bundle: Path) -> None:
    assert (tiny_bundle / "card.md").read_text(encoding="utf-8") == tunewright.card(tiny_bundle).markdown


def test_json_holds_every_heading_of_both(cli: Callable[..., Any], tiny_bundle: Path) -> None:
    told = json.loads(cli("card", tiny_bundle, "--json").out)
    assert told["bundle"] == tunewright.load(tiny_bundle).manifest.digest
    assert len(told["evidence"]) == 9
    missing = {"form": "text", "missing": True, "strong": None}
    said = ["Not stated: set card.intended_use.", "未说明：请设置 card.intended_use。"]
    assert told["card"]["Intended use"] == [missing | {"said": said}]


def test_what_the_task_states_is_in_it(tiny_bundle: Path, tmp_path: Path) -> None:
    own = {"intended_use": {"en": "for mail", "zh": "用于邮件"}, "oversight": "Ann can stop it"}
    bundle = with_task(tiny_bundle, tmp_path / "b", card=own, review={"labels": [], "below": 0.4, "slices": {}})
    english, _, chinese = tunewright.card(bundle).markdown.partition("\n---\n")
    assert "for mail" in english
    assert "用于邮件" in chinese
    assert "Ann can stop it" in english
    assert "A person looks at scores below: 0.400" in english


def test_a_later_audit_takes_the_place_of_what_it_measures_again(tiny_bundle: Path, later: Path) -> None:
    made = tunewright.card(tiny_bundle, audit=later)
    english = made.markdown.partition("\n---\n")[0]
    assert "| Accuracy | 0.123 | 0.100–0.200 | 77 |" in english
    assert english.count("| Accuracy |") == 1
    assert english.count("| Typo drop | 0.321 |") == 1
    assert "**Missed** – 1 of 1 gates missed." in english
    assert "sha256:later" in json.dumps(made.record["evidence"])


def test_an_audit_of_another_bundle_is_refused(tiny_bundle: Path, later: Path) -> None:
    told = json.loads(later.read_text(encoding="utf-8"))
    later.write_text(json.dumps(told | {"bundle": "sha256:other"}), encoding="utf-8")
    with pytest.raises(TunewrightError, match="it judges another bundle") as caught:
        tunewright.card(tiny_bundle, audit=later)
    assert "audit this bundle" in caught.value.remedy


@pytest.mark.parametrize("text", ["[]", "no json", '{"findings": [{"audit": 1}]}', '{"found": []}'])
def test_what_is_no_report_is_refused(tiny_bundle: Path, tmp_path: Path, text: str) -> None:
    path = tmp_path / "x.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(TunewrightError, match="it is no report of an audit"):
        tunewright.card(tiny_bundle, audit=path)


def test_a_folder_that_is_there_is_not_replaced(cli: Callable[..., Any], tiny_bundle: Path, tmp_path: Path) -> None:
    ran = cli("card", tiny_bundle, "--out", tmp_path)
    assert (ran.code, "it exists already" in ran.err) == (2, True)


def test_without_a_report_the_metrics_of_the_bundle_stand(tiny_bundle: Path, tmp_path: Path) -> None:
    folder = tmp_path / "bare"
    shutil.copytree(tiny_bundle, folder)
    manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    del manifest["run"]["files"]["report.json"]
    (folder / "report.json").unlink()
    (folder / MANIFEST).write_text(json.dumps(manifest), encoding="utf-8")
    assert f"| Accuracy | {manifest['metrics']['accuracy']['value']:.3f} |" in tunewright.card(folder).markdown
