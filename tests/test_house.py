"""The house around the code: version, plugin files, a light start, no traces of a machine, docs that tell the truth."""

from __future__ import annotations

import doctest
import importlib
import importlib.util
import os
import re
import shlex
import subprocess
import sys
from functools import cache
from importlib.metadata import version
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from typer.main import get_command

import tunewright
from tunewright.core import plugins
from tunewright.core.sections import Target
from tunewright.core.task import Task, settings

ROOT = Path(__file__).resolve().parent.parent
HEAVY = {
    "torch",
    "polars",
    "pydantic",
    "onnxruntime",
    "transformers",
    "sklearn",
    "scipy",
    "numpy",
    "fastapi",
    "tokenizers",
}
NOT_IN_AN_EXTRA = {"mlflow", "wandb"}
"""Libraries that are used where they are installed."""
PAGES = [path for path in (*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")) if path.name != "CHANGELOG.md"]
# Put together here, so that this file is not what the search finds.
HOSTS = [".".join(parts) for parts in (("pypi", "org"), ("pythonhosted", "org"), ("npmjs", "org"), ("debian", "org"))]
HOSTS += [".".join(parts) for parts in (("pypi", "tuna"), ("aliyun", "com"), ("pytorch", "org/whl"))]
MACHINE = re.compile(r"(?<![\w.~/$)}-])/(?:root|work|opt/pypi|home/[a-z]\w*|Users/[A-Za-z]\w*)/")


def own_files() -> list[Path]:
    """Every file that is or would be committed."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    return [path for name in listed.stdout.decode().split("\0") if name and (path := ROOT / name).is_file()]


def test_the_newest_changelog_entry_is_the_version_of_the_package() -> None:
    newest = re.search(r"^## (\d+\.\d+\.\d+)\b", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert newest is not None
    assert newest[1] == version("tunewright") == tunewright.__version__


@pytest.mark.parametrize("folder", plugins.FOLDERS)
def test_every_plugin_file_says_in_its_first_line_what_it_is(folder: str) -> None:
    names = plugins.names(folder)
    assert names, f"no plugin in {folder}"
    for name in names:
        summary = plugins.summary(folder, name)
        assert 10 <= len(summary) <= 120, f"{folder}/{name}: {summary!r}"


@pytest.mark.parametrize("arguments", [["--help"], ["fit", "--help"], ["predict", "--help"]])
def test_help_imports_no_heavy_library(arguments: list[str]) -> None:
    found = loaded_by(f"import tunewright.cli as c; sys.argv = ['tunewright', *{arguments!r}]; c.main()")
    of_typer = {"pydantic"} if len(arguments) > 1 else set()  # typer itself imports it for a command's parameters
    assert found & HEAVY <= of_typer


def test_the_package_itself_imports_no_heavy_library() -> None:
    assert loaded_by("import tunewright") & HEAVY == set()


@pytest.mark.parametrize("asked", ["", "26"])
def test_idle_threads_of_openblas_wait_shortly_unless_the_user_says_how_long(asked: str) -> None:
    code = "import os, tunewright; print(os.environ['OPENBLAS_THREAD_TIMEOUT'])"
    given = {name: value for name, value in os.environ.items() if name != "OPENBLAS_THREAD_TIMEOUT"}
    given |= {"OPENBLAS_THREAD_TIMEOUT": asked} if asked else {}
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, env=given).stdout
    assert said.strip() == (asked or "20")


def loaded_by(statement: str) -> set[str]:
    """Top-level modules in ``sys.modules`` after a statement ran in a fresh interpreter; a clean exit is demanded."""
    code = f"import sys\ntry:\n    {statement}\nexcept SystemExit as end:\n    assert not end.code, end.code\n"
    code += "print('modules:', *{name.partition('.')[0] for name in sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.rpartition("modules:")[2].split())


def test_no_file_names_a_registry_or_a_developers_machine() -> None:
    files = own_files()
    assert ROOT / "README.md" in files
    assert [trace for path in files for trace in traces(path)] == []


def traces(path: Path) -> list[str]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError:  # a picture or a bundle's binary file
        return []
    place = path.relative_to(ROOT)
    return [
        f"{place}:{number}: {line.strip()[:80]}"
        for number, line in enumerate(lines, 1)
        if MACHINE.search(line) or any(host in line for host in HOSTS)
    ]


@pytest.mark.parametrize(
    "line", [*(f"cd /{at}/x" for at in ("work", "root", "home/ann")), f"https://{HOSTS[0]}/simple"]
)
def test_the_search_for_traces_finds_them(line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(globals(), "ROOT", tmp_path)
    (tmp_path / "page.md").write_text(f"fine\n{line}\n", encoding="utf-8")
    assert len(traces(tmp_path / "page.md")) == 1


@cache
def commands() -> dict[str, set[str]]:
    """Verb → the options that it knows."""
    from tunewright.cli import app

    known: dict[str, Any] = getattr(get_command(app), "commands")  # noqa: B009 - a click group by typer's own type
    return {
        name: {"--help"}
        | {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
        for name, command in known.items()
    }


def told_commands(page: str) -> list[list[str]]:
    """The words of every `tunewright …` line in the code blocks of a page and in its inline code.

    >>> told_commands("```" + chr(10) + "tunewright show intents/  # what it is" + chr(10) + "```")
    [['show', 'intents/']]
    """
    blocks = "\n".join(re.findall(r"^```\w*\n(.*?)^```", page, re.MULTILINE | re.DOTALL)).replace("\\\n", " ")
    inline = re.findall(r"(?<!`)`(tunewright [^`\n]+)`", page)
    lines = re.findall(r"^(?:\$ )?(tunewright (?:(?! \| ).)+)", blocks, re.MULTILINE) + inline
    return [words for line in lines if (words := shlex.split(line, comments=True)[1:])]


def test_told_commands_finds_blocks_and_inline_code() -> None:
    block = "```\n$ tunewright fit a.csv \\\n    --out b/   # why\ntunewright show b/ | less\n```\n"
    page = f"Run `tunewright schema`.\n\n{block}"
    assert told_commands(page) == [["fit", "a.csv", "--out", "b/"], ["show", "b/"], ["schema"]]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_pages_name_only_commands_and_options_that_exist(page: Path) -> None:
    for verb, *words in told_commands(page.read_text(encoding="utf-8")):
        if verb.startswith("-") or verb.isupper():
            continue
        assert verb in commands(), f"there is no command {verb!r}"
        options = {word.partition("=")[0] for word in words if word.startswith("--")}
        assert options <= commands()[verb], f"{verb}: {options - commands()[verb]}"


def test_the_readmes_name_the_commands_of_the_line() -> None:
    for name in ("README.md", "README.zh-CN.md"):
        told = {words[0] for words in told_commands((ROOT / name).read_text(encoding="utf-8"))}
        assert {"check", "fit", "show", "evaluate", "predict", "serve"} <= told


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))
    assert [link for link in links if "://" not in link and not (page.parent / link).exists()] == []


def test_the_generated_tables_in_the_docs_are_current() -> None:
    pages = list(docs_tables().renewed())
    assert {page.name for page, _ in pages} == {"task.md", "data.md"}
    assert [page.name for page, text in pages if page.read_text(encoding="utf-8") != text] == [], "run `make docs`"


def test_the_settings_tables_hold_every_setting() -> None:
    tables = docs_tables().settings()
    for dotted in (*settings(Task()), *(f"targets.{name}" for name in Target.model_fields)):
        assert f"| `{dotted.rpartition('.')[2]}` |" in tables


MODULES = sorted(path.relative_to(ROOT / "src").with_suffix("") for path in (ROOT / "src").rglob("*.py"))


@pytest.mark.filterwarnings("ignore:Using extra keyword arguments on `Field`:DeprecationWarning")  # in Ray Serve
@pytest.mark.parametrize("module", [".".join(path.parts).removesuffix(".__init__") for path in MODULES])
def test_examples_in_docstrings_give_what_they_show(module: str) -> None:
    try:
        found = importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name not in NOT_IN_AN_EXTRA:
            raise
        pytest.skip(f"{error.name} is not installed")
    result = doctest.testmod(found, optionflags=doctest.NORMALIZE_WHITESPACE)
    assert result.failed == 0, "python -m doctest -v shows the difference"


def docs_tables() -> ModuleType:
    spec = importlib.util.spec_from_file_location("docs_tables", ROOT / "scripts" / "docs_tables.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
