"""Folders that change while their bundles are served."""

from __future__ import annotations

import gc
import http.client
import json
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI, Request
from starlette.testclient import TestClient

from tunewright.core.bundle import read_manifest
from tunewright.core.errors import TunewrightError
from tunewright.serve import admin
from tunewright.serve.access.access import Access
from tunewright.serve.access.keys import Keys, hash_of, new_key
from tunewright.serve.folders import Folders
from tunewright.serve.http import application
from tunewright.serve.problems import Refusal
from tunewright.serve.run import serve

Siblings = Callable[[int], list[Path]]
TEXT = "where is my order?"


def answer(folders: Folders, name: str) -> Any:
    return folders.registry.find(name).predictor.answers([TEXT])


def replaced(folder: Path, by: Path) -> None:
    """As ``fit --force`` does: the old folder goes, the new one has its place."""
    shutil.rmtree(folder)
    by.rename(folder)


def test_two_bundles_of_one_name_are_an_error(siblings: Siblings, tmp_path: Path) -> None:
    (first,) = siblings(1)
    second = tmp_path / "copy"
    shutil.copytree(first, second)
    with pytest.raises(TunewrightError, match=f"{first} and {second} are both named 'task-0' → serve one of them"):
        Folders([first, second])


def test_bundles_keep_their_order_and_share_their_encoder(siblings: Siblings) -> None:
    folders = Folders(siblings(3)[::-1])
    assert list(folders.registry.served) == ["task-2", "task-1", "task-0"]
    assert len(folders.shelf.encoders) == 1


def test_a_new_bundle_in_the_place_of_an_old_one(siblings: Siblings, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    one, other, new = siblings(3)
    folders = Folders([one, other])
    kept, old, expected = (folders.registry.find(f"task-{at}").predictor for at in (1, 0, 1))
    digest = read_manifest(new).digest
    replaced(one, new)
    folders.reread()
    switched = folders.registry.find("task-0")  # it keeps the name that it was first served by
    assert switched.digest == digest != old.manifest.digest
    assert folders.registry.find("task-1").predictor is kept is expected
    assert f"switched task-0: {digest[:19]}" in caplog.messages
    assert "reread: 2 bundles, 1 of them as they were" in caplog.messages
    assert old.answers([TEXT])["label"]  # a request under way still has it
    del old
    gc.collect()
    assert len(folders.shelf.graphs) == 1 + 2 + 1


@pytest.mark.parametrize(
    ("break_it", "problem"),
    [
        (lambda folder: (folder / "bundle.json").write_text("{"), "not JSON"),
        (lambda folder: next(folder.glob("weights/head.*")).write_bytes(b"x"), "the file is damaged"),
        (lambda folder: next(folder.glob("weights/head.*")).unlink(), "the file is missing"),
        (lambda folder: next(folder.glob("head.*")).unlink(), "the file is missing"),
    ],
)
def test_a_damaged_bundle_is_refused_and_the_old_one_stays(
    siblings: Siblings, break_it: Any, problem: str, caplog: pytest.LogCaptureFixture
) -> None:
    one, new = siblings(2)
    folders = Folders([one])
    before, digest = answer(folders, "task-0"), read_manifest(one).digest
    break_it(new)
    replaced(one, new)
    folders.reread()
    assert answer(folders, "task-0") == before
    (said,) = [one for one in caplog.messages if one.startswith("not loaded")]
    assert said.startswith(f"not loaded; task-0 goes on with {digest[:19]}")
    assert problem in said


def test_a_bundle_removed_while_it_serves_goes_on(siblings: Siblings, caplog: pytest.LogCaptureFixture) -> None:
    one, _ = siblings(2)
    folders = Folders([one])
    before = answer(folders, "task-0")
    shutil.rmtree(one)
    assert answer(folders, "task-0") == before
    folders.reread()
    assert f"{one} is gone; task-0 goes on with what is loaded" in caplog.messages
    assert answer(folders, "task-0") == before


def test_a_folder_of_bundles(siblings: Siblings, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    parent = tmp_path / "all"
    parent.mkdir()
    (parent / "notes").mkdir()
    first, second = siblings(2)
    first.rename(parent / "a")
    folders = Folders([], parent)
    second.rename(parent / "b")
    shutil.copytree(parent / "a", parent / "c")  # the name of one that is served
    folders.reread()
    assert list(folders.registry.served) == ["task-0", "task-1"]
    assert any("are both named 'task-0'" in one for one in caplog.messages)
    folders.unload("task-0")
    assert list(folders.registry.served) == ["task-1"]
    folders.reread()
    assert list(folders.registry.served) == ["task-1", "task-0"]
    with pytest.raises(TunewrightError, match="there is no such folder"):
        Folders([], tmp_path / "nowhere")


def test_a_folder_without_bundles_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(TunewrightError, match="there is no bundle to serve"):
        Folders([], tmp_path)


def test_the_admin_routes_ask_who_it_is(siblings: Siblings) -> None:
    one, other, new = siblings(3)
    folders = Folders([one, other])
    app: FastAPI = application(folders.registry)

    def allowed(request: Request) -> None:
        if request.headers.get("x-key") != "admin":
            raise Refusal(403, "this key may not do so", "use that of an admin")

    admin.add(app, folders, allowed)
    client, key = TestClient(app), {"X-Key": "admin"}
    digest = read_manifest(new).digest
    replaced(one, new)
    for refused in (client.post("/admin/reread"), client.delete("/admin/bundles/task-1")):
        assert (refused.status_code, refused.json()["problem"]) == (403, "this key may not do so")
    assert client.post("/admin/reread", headers=key).json()["bundles"]["task-0"] == digest
    assert list(client.delete("/admin/bundles/task-1", headers=key).json()["bundles"]) == ["task-0"]
    assert client.delete("/admin/bundles/task-1", headers=key).status_code == 404
    assert client.delete("/admin/bundles/task-0", headers=key).status_code == 409
    assert {"/admin/reread", "/admin/bundles/{name}"} < set(json.loads(client.get("/openapi.json").text)["paths"])


def test_a_key_that_is_named_may_change_what_is_served(siblings: Siblings) -> None:
    folders = Folders(siblings(2))
    ops, web = new_key(), new_key()
    access = Access(Keys({"ops": hash_of(ops), "web": hash_of(web)}))
    app = application(folders.registry, access=access)
    admin.add(app, folders, admin.holders(["ops"]))
    client = TestClient(app)

    def status(key: str | None) -> int:
        headers = {} if key is None else {"Authorization": f"Bearer {key}"}
        return client.post("/admin/reread", headers=headers).status_code

    assert [status(None), status("tw_wrong"), status(web), status(ops)] == [401, 401, 403, 200]


@pytest.mark.parametrize(
    ("named", "problem"),
    [
        ({}, "--admin names keys, and callers need none here → pass --keys keys.txt, too"),
        ({"processes": 2}, "--admin reaches one process, and there are several → send SIGHUP"),
    ],
)
def test_an_admin_needs_a_key_and_a_single_process(siblings: Siblings, named: dict[str, int], problem: str) -> None:
    with pytest.raises(TunewrightError, match=problem):
        serve(siblings(1), port=0, admins=["ops"], **named)


def test_a_switch_by_sighup_loses_no_request(siblings: Siblings) -> None:
    """Callers who never stop asking get an answer of the one bundle or of the other, and in the end of the new one."""
    one, new = siblings(2)
    digests = [read_manifest(folder).digest for folder in (one, new)]
    code = "import sys, pathlib; from tunewright.serve.run import serve; serve([pathlib.Path(sys.argv[1])], port=0)"
    command = [sys.executable, "-c", code, str(one)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        log: list[str] = []
        threading.Thread(target=lambda: log.extend(process.stderr), daemon=True).start()
        try:
            host = process.stdout.readline().split("http://")[1].split()[0]
            seen: list[tuple[int, str]] = []
            stop = threading.Event()

            def call() -> None:
                connection = http.client.HTTPConnection(host, timeout=30)
                while not stop.is_set():
                    connection.request("POST", "/predict", json.dumps({"inputs": [TEXT]}))
                    response = connection.getresponse()
                    seen.append((response.status, json.load(response).get("bundle", "")))
                connection.close()

            callers = [threading.Thread(target=call) for _ in range(4)]
            for caller in callers:
                caller.start()
            until(lambda: len(seen) > 20)
            replaced(one, new)
            process.send_signal(signal.SIGHUP)
            until(lambda: seen[-1][1] == digests[1])
            after = len(seen)
            until(lambda: len(seen) > after + 20)
            stop.set()
            for caller in callers:
                caller.join(30)
        finally:
            process.terminate()
        assert process.wait(30) == 0
    assert {status for status, _ in seen} == {200}
    assert {digest for _, digest in seen} == set(digests)
    assert all(digest == digests[1] for _, digest in seen[after:])
    assert any("switched task-0" in line for line in log)


def until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not true():
        assert time.monotonic() < end
        time.sleep(0.01)
