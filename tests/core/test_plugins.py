"""Plugins: found as files and as entry points, described without being imported, named when they are missing."""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tunewright.core import plugins
from tunewright.core.errors import MissingExtra, TunewrightError

Install = Callable[..., None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Put a third party's package on ``sys.path``: a module and a dist-info folder with an entry point."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def write(group: str, name: str, module: str, text: str) -> None:
        (tmp_path / f"{module}.py").write_text(text, encoding="utf-8")
        info = tmp_path / f"{module}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.0\n", encoding="utf-8")
        (info / "entry_points.txt").write_text(f"[{group}]\n{name} = {module}\n", encoding="utf-8")
        importlib.invalidate_caches()
        monkeypatch.delitem(sys.modules, module, raising=False)

    return write


KIND = '"""Stars: one to five per row."""\n\nraise_on_import = {}\n\nclass StarRating:\n    """The plugin."""\n'


@pytest.mark.parametrize("folder", plugins.FOLDERS)
def test_names_are_the_public_files_of_a_folder(folder: str) -> None:
    place = plugins.ROOT / plugins.FOLDERS[folder][0]
    files = {path.stem for path in place.glob("*.py") if not path.name.startswith("_")}
    names = plugins.names(folder)
    assert names == sorted(names)
    assert set(names) >= files
    assert files


def test_a_summary_is_read_without_importing_the_plugin(start_python: Callable[..., object]) -> None:
    code = (
        "import sys\nfrom tunewright.core import plugins\n"
        "for folder in plugins.FOLDERS:\n    for name in plugins.names(folder):\n"
        "        assert plugins.summary(folder, name), (folder, name)\n"
        "print('modules', *sys.modules)"
    )
    out, errors = start_python(code).communicate(timeout=60)  # type: ignore[attr-defined]
    assert not errors
    loaded = set(out.split())
    assert loaded.isdisjoint({"torch", "numpy", "polars", "onnxruntime", "tokenizers"})
    assert not [name for name in loaded if re.match(r"tunewright\.(kinds|modalities|methods|heads|backbones)\.", name)]


def test_a_summary_is_the_first_line_of_the_docstring() -> None:
    assert plugins.summary("kinds", "classify") == "One label per row."


@pytest.mark.parametrize(
    ("folder", "name", "problem", "remedy"),
    [
        ("kinds", "clasify", "there is no kind 'clasify'", "did you mean 'classify'?"),
        ("modalities", "txt", "there is no modality 'txt'", "did you mean 'text'?"),
        ("methods", "prob", "there is no method 'prob'", "did you mean 'probe'?"),
        ("kinds", "_pooled", "there is no kind '_pooled'", ""),
        ("kinds", "../core/task", "there is no kind '../core/task'", ""),
    ],
)
@pytest.mark.parametrize("call", [plugins.load, plugins.summary])
def test_an_unknown_name_is_answered_with_the_nearest(
    call: Callable[[str, str], object], folder: str, name: str, problem: str, remedy: str
) -> None:
    with pytest.raises(TunewrightError) as caught:
        call(folder, name)
    assert caught.value.problem == problem
    assert caught.value.remedy.startswith(remedy)


def test_an_entry_point_is_a_plugin_like_a_file(install: Install) -> None:
    install("tunewright.kinds", "star_rating", "acme_stars", KIND)
    assert "star_rating" in plugins.names("kinds")
    assert plugins.summary("kinds", "star_rating") == "Stars: one to five per row."
    assert "acme_stars" not in sys.modules
    plugin = plugins.load("kinds", "star_rating")
    assert plugin.__module__ == "acme_stars"
    assert plugin.__name__ == "StarRating"
    with pytest.raises(TunewrightError, match="did you mean 'star_rating'"):
        plugins.load("kinds", "star_ratin")


def test_an_entry_point_of_a_module_folder_is_the_module(install: Install) -> None:
    install("tunewright.methods", "acme", "acme_method", '"""Acme\'s way to learn."""\n\nNAME = "acme"\n')
    assert plugins.load("methods", "acme").NAME == "acme"


def test_a_file_of_the_house_wins_over_an_entry_point(install: Install) -> None:
    install("tunewright.kinds", "classify", "acme_classify", KIND)
    assert plugins.load("kinds", "classify").__module__ == "tunewright.kinds.classify"
    assert plugins.names("kinds").count("classify") == 1


def test_a_module_without_the_class_is_said_so(install: Install) -> None:
    install("tunewright.kinds", "stars", "acme_wrong", KIND)
    with pytest.raises(TunewrightError, match=r"acme_wrong defines no class Stars"):
        plugins.load("kinds", "stars")


@pytest.mark.parametrize(("modality", "reads"), [("text", "text"), ("ngrams", "text"), ("numbers", "numbers")])
def test_a_modality_says_what_it_reads_or_else_its_name_does(modality: str, reads: str) -> None:
    assert plugins.reads(modality) == reads


def test_a_library_of_an_extra_that_is_missing_is_named(install: Install) -> None:
    install(
        "tunewright.methods", "heavy", "acme_heavy", '"""Needs a library."""\nimport library_that_nobody_has.part\n'
    )
    with pytest.raises(MissingExtra) as caught:
        plugins.load("methods", "heavy")
    assert caught.value.problem == "methods/heavy needs library_that_nobody_has, which is not installed"
    assert caught.value.remedy == "pip install 'tunewright[train]'"


def test_a_missing_module_of_the_house_is_a_bug_and_not_an_extra(install: Install) -> None:
    install("tunewright.methods", "stale", "acme_stale", '"""Written for another version."""\nimport tunewright.gone\n')
    with pytest.raises(ModuleNotFoundError, match=r"tunewright\.gone"):
        plugins.load("methods", "stale")


@pytest.mark.parametrize("missing", ["torch", "sklearn"])
def test_without_the_training_libraries_a_method_says_which_extra(
    missing: str, start_python: Callable[..., object]
) -> None:
    code = (
        "import sys\nfrom tunewright.core import plugins\nfrom tunewright.core.errors import MissingExtra\n"
        "sys.modules[sys.argv[1]] = None\n"
        "try:\n    plugins.load('methods', 'probe')\nexcept MissingExtra as error:\n    print(error)\n"
    )
    out, errors = start_python(code, missing).communicate(timeout=120)  # type: ignore[attr-defined]
    assert not errors
    assert out == f"methods/probe needs {missing}, which is not installed → pip install 'tunewright[train]'\n"
