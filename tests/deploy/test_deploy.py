"""What is deployed: the image, the systemd units and the Kubernetes example have the properties that the docs claim."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import tomllib
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest
import yaml

import tunewright
from tunewright.serve.access.guard import HEALTH
from tunewright.serve.access.keys import FILE_VARIABLE
from tunewright.serve.limits import Limits
from tunewright.serve.listen import LEAVE_SECONDS

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
LONGEST_STOP = Limits().drain_seconds + LEAVE_SECONDS + Limits().timeout_seconds


# --- the image ---


def instructions() -> list[tuple[str, str]]:
    """The Dockerfile as (instruction, rest), comments left out and lines joined."""
    lines = [line for line in (ROOT / "Dockerfile").read_text().splitlines() if not line.lstrip().startswith("#")]
    joined = "\n".join(lines).replace("\\\n", " ")
    return [(one.split(None, 1)[0], one.split(None, 1)[1].strip()) for one in joined.splitlines() if one.strip()]


def of(name: str) -> list[str]:
    return [rest for one, rest in instructions() if one == name]


def last_stage() -> list[tuple[str, str]]:
    all_ = instructions()
    start = max(at for at, (name, _) in enumerate(all_) if name == "FROM")
    return all_[start:]


def test_every_instruction_is_one_that_docker_knows() -> None:
    known = {"ARG", "FROM", "WORKDIR", "ENV", "COPY", "RUN", "LABEL", "USER", "EXPOSE", "STOPSIGNAL", "HEALTHCHECK"}
    assert {name for name, _ in instructions()} <= known | {"ENTRYPOINT", "CMD"}
    assert instructions()[0][0] in ("ARG", "FROM")


def test_the_image_is_built_in_two_stages_on_a_small_base_of_a_supported_python() -> None:
    bases = [one.split()[0] for one in of("FROM")]
    assert bases == ["python:${PYTHON}-slim"] * 2
    (version,) = re.findall(r"PYTHON=(\d+\.\d+)$", "\n".join(of("ARG")))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert f"Programming Language :: Python :: {version}" in project["classifiers"]


def test_the_last_stage_runs_no_package_manager_and_takes_only_the_environment() -> None:
    copied = [rest for name, rest in last_stage() if name == "COPY"]
    assert copied == ["--from=build /opt/tunewright /opt/tunewright"]
    runs = [rest for name, rest in last_stage() if name == "RUN"]
    assert not [run for run in runs if re.search(r"\b(pip|apt|apt-get|curl|wget|git)\b", run)]


def test_it_installs_what_serving_needs_in_pinned_versions_and_no_training_library() -> None:
    installs = [run for run in of("RUN") if "pip install" in run]
    assert installs
    assert all("-c constraints.txt" in run for run in installs)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    needed = [*project["dependencies"], *project["optional-dependencies"]["serve"]]
    names = {re.split(r"[><=\[]", one)[0] for one in needed}
    assert not names & {"torch", "transformers", "scikit-learn", "scipy", "ray", "onnx"}
    assert "['optional-dependencies']['serve']" in " ".join(installs)
    assert not re.search(r"'(train|all|dev)'", " ".join(of("RUN")))


def test_it_runs_as_a_user_with_a_number_and_no_shell() -> None:
    users = [(at, rest) for at, (name, rest) in enumerate(last_stage()) if name == "USER"]
    assert [rest for _, rest in users] == ["10001:10001"]
    assert not [name for name, _ in last_stage()[users[0][0] :] if name in ("RUN", "COPY")]
    assert "--shell /usr/sbin/nologin" in " ".join(rest for name, rest in last_stage() if name == "RUN")


def test_it_starts_the_service_itself_so_that_signals_reach_it() -> None:
    (entry,) = of("ENTRYPOINT")
    assert json.loads(entry)[:2] == ["tunewright", "serve"]
    assert of("STOPSIGNAL") == ["SIGTERM"]
    assert "--no-keys" not in entry  # open to the network: it does not start without keys


def test_its_health_check_needs_no_program_that_the_image_lacks() -> None:
    (check,) = of("HEALTHCHECK")
    command = json.loads(check.partition("CMD")[2])
    assert command[0] == "python"
    assert re.search(r"127\.0\.0\.1:8080(/\w+)'", command[2])[1] in HEALTH  # type: ignore[index]
    assert of("EXPOSE") == ["8080"]
    compile(command[2], "health", "exec")


def test_no_secret_and_no_unnamed_file_reaches_the_image() -> None:
    assert not re.search(r"(?i)(password|token|secret)\s*=", (ROOT / "Dockerfile").read_text().replace("#", "\n#"))
    ignored = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and line[0] != "#"]
    assert ignored[0] == "*"
    kept = {line[1:] for line in ignored if line.startswith("!")}
    copied = {word for rest in of("COPY") for word in rest.split()[:-1] if not word.startswith(("--", "/"))}
    assert copied == kept
    assert all((ROOT / name).exists() for name in kept)
    assert not [name for name in ("keys.txt", ".git", "intents") if any(fnmatch(name, one) for one in kept)]


def test_the_script_that_lists_the_dependencies_gives_them() -> None:
    (run,) = [one for one in of("RUN") if "tomllib" in one]
    code = re.search(r'python -c "(.*?)"', run, re.DOTALL)
    assert code is not None
    done = subprocess.run(
        ["python3", "-c", re.sub(r"^\s+", "", code[1])], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert {"fastapi", "numpy", "onnxruntime"} <= {re.split(r"[><=]", line)[0] for line in done.stdout.splitlines()}


# --- systemd ---


def unit(name: str) -> dict[str, list[str]]:
    """Setting → its values, of all sections."""
    found: dict[str, list[str]] = {}
    for line in (DEPLOY / name).read_text().splitlines():
        if line and line[0] not in "#[":
            key, _, value = line.partition("=")
            found.setdefault(key, []).append(value)
    return found


def test_the_unit_has_no_rights_and_sees_little() -> None:
    told = unit("tunewright.service")
    for name in ("NoNewPrivileges", "ProtectHome", "PrivateTmp", "PrivateDevices", "DynamicUser", "LockPersonality"):
        assert told[name] == ["yes"], name
    assert told["ProtectSystem"] == ["strict"]
    assert told["CapabilityBoundingSet"] == [""]
    assert "User" not in told


def test_the_unit_keeps_the_key_out_of_its_command_and_waits_for_requests() -> None:
    told = unit("tunewright.service")
    words = shlex.split(told["ExecStart"][0])
    assert words[:2] == ["/opt/tunewright/bin/tunewright", "serve"]
    assert words[words.index("--keys") + 1] == "${CREDENTIALS_DIRECTORY}/keys"
    assert told["LoadCredential"][0].startswith("keys:")
    assert float(told["TimeoutStopSec"][0]) > LONGEST_STOP
    assert unit("tunewright.socket")["ListenStream"] == ["0.0.0.0:8080"]


def test_systemd_takes_the_units_and_finds_them_little_exposed(tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("this machine has no systemd-analyze")
    for path in DEPLOY.glob("tunewright.s*"):  # it looks for the program, which is not installed here
        text = path.read_text().replace("/opt/tunewright/bin/tunewright", shutil.which("true") or "/bin/true")
        (tmp_path / path.name).write_text(text)
    units = [str(one) for one in sorted(tmp_path.iterdir())]
    assert len(units) == 2
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", *units], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    done = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--threshold=20", units[0]], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout[-500:]  # at most 2.0 of 10


# --- Kubernetes ---


@pytest.fixture(scope="module")
def objects() -> dict[str, Any]:
    """Kind → object."""
    return {one["kind"]: one for one in yaml.safe_load_all((DEPLOY / "kubernetes.yaml").read_text())}


@pytest.fixture(scope="module")
def pod(objects: dict[str, Any]) -> Any:
    return objects["Deployment"]["spec"]["template"]["spec"]


def test_the_objects_fit_each_other(objects: dict[str, Any]) -> None:
    assert {kind: one["apiVersion"] for kind, one in objects.items()} == {
        "Deployment": "apps/v1", "Service": "v1", "PodDisruptionBudget": "policy/v1",
    }  # fmt: skip
    labels = objects["Deployment"]["spec"]["template"]["metadata"]["labels"]
    assert objects["Deployment"]["spec"]["selector"]["matchLabels"] == labels
    assert objects["Service"]["spec"]["selector"] == labels
    assert objects["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"] == labels
    assert objects["Service"]["spec"]["ports"][0]["targetPort"] == "http"


def test_the_container_is_asked_whether_it_is_ready_and_alive(pod: Any) -> None:
    (container,) = pod["containers"]
    assert container["readinessProbe"]["httpGet"] == {"path": "/readyz", "port": "http"}
    assert container["livenessProbe"]["httpGet"] == {"path": "/healthz", "port": "http"}
    assert container["startupProbe"]["httpGet"]["path"] == "/readyz"
    assert {container[name]["httpGet"]["path"] for name in ("readinessProbe", "livenessProbe")} <= HEALTH
    assert container["image"].endswith(f":{tunewright.__version__}")
    assert container["ports"] == [{"name": "http", "containerPort": 8080}]


def test_it_has_time_to_finish_what_is_under_way(pod: Any) -> None:
    (container,) = pod["containers"]
    command = container["lifecycle"]["preStop"]["exec"]["command"]
    assert command == ["sleep", "5"]
    assert pod["terminationGracePeriodSeconds"] > float(command[1]) + LONGEST_STOP


def test_its_memory_and_processor_are_bounded(pod: Any) -> None:
    resources = pod["containers"][0]["resources"]
    for kind in ("requests", "limits"):
        assert set(resources[kind]) == {"cpu", "memory"}


def test_it_has_no_rights(pod: Any) -> None:
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] == 10001
    assert pod["automountServiceAccountToken"] is False
    own = pod["containers"][0]["securityContext"]
    assert (own["allowPrivilegeEscalation"], own["readOnlyRootFilesystem"]) == (False, True)
    assert own["capabilities"] == {"drop": ["ALL"]}


def test_the_keys_come_as_a_file_that_the_service_takes(pod: Any) -> None:
    (container,) = pod["containers"]
    mounts = {one["name"]: one for one in container["volumeMounts"]}
    volumes = {one["name"]: one for one in pod["volumes"]}
    assert set(mounts) == set(volumes)
    (env,) = container["env"]
    assert env == {"name": FILE_VARIABLE, "value": f"{mounts['keys']['mountPath']}/keys"}
    mode = volumes["keys"]["secret"]["defaultMode"]
    assert mode == 0o440
    assert mounts["bundles"]["readOnly"] is True
    assert mounts["tmp"]["mountPath"] == "/tmp"  # figures of several processes lie there
