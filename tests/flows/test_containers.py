"""Prefect in containers: the compose file, the image, the pools' templates and their deployments fit each other."""

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "deployments"
KEYS = {  # of a service, as the Compose Specification names them
    "image", "command", "environment", "env_file", "volumes", "ports", "depends_on", "healthcheck", "working_dir",
}  # fmt: skip


def read(name: str) -> Any:
    return yaml.safe_load((FOLDER / name).read_text(encoding="utf-8"))


def dockerfile() -> str:
    return (FOLDER / "Dockerfile").read_text(encoding="utf-8")


def test_the_compose_file_waits_for_what_is_healthy_and_mounts_what_it_declares() -> None:
    compose = read("compose.yaml")
    assert compose.keys() == {"services", "volumes"}
    services: dict[str, dict[str, Any]] = compose["services"]
    for service in services.values():
        assert service.keys() <= KEYS
        for name, how in service.get("depends_on", {}).items():
            assert how == {"condition": "service_healthy"}
            assert services[name]["healthcheck"]["test"][0] in ("CMD", "CMD-SHELL")
    mounted = [one.partition(":")[0] for service in services.values() for one in service.get("volumes", ())]
    assert {name for name in mounted if not name.startswith(".")} == set(compose["volumes"])


def test_the_compose_file_has_no_password_of_its_own_and_this_prefect() -> None:
    text = (FOLDER / "compose.yaml").read_text(encoding="utf-8")
    services = read("compose.yaml")["services"]
    assert services["database"]["environment"]["POSTGRES_PASSWORD"].startswith("${POSTGRES_PASSWORD:?")
    assert set(re.findall(r"PASSWORD\w*: (\S)", text)) == {"$"}
    [version] = re.findall(r"^prefect==(\S+)$", (ROOT / "constraints.txt").read_text(encoding="utf-8"), re.MULTILINE)
    assert services["server"]["image"] == f"prefecthq/prefect:{version}-python3.11"
    assert "--prefect-file deployments/prefect.yaml" in services["worker"]["command"]


def test_what_asks_for_no_password_is_published_on_this_machine_alone() -> None:
    for name, service in read("compose.yaml")["services"].items():
        asks = "PREFECT_SERVER_API_AUTH_STRING" in service.get("environment", {})
        for port in service.get("ports", ()):
            assert asks or str(port).startswith(("127.0.0.1:", "[::1]:")), f"{name} is open to the network"


def test_containers_get_the_same_deployments() -> None:
    ours, theirs = read("prefect.yaml"), read("containers.yaml")

    def without_pool(one: dict[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in one.items() if name != "work_pool"}

    assert [without_pool(one) for one in theirs["deployments"]] == [without_pool(one) for one in ours["deployments"]]
    assert {one["work_pool"]["name"] for one in theirs["deployments"]} == {"kasasagi-containers"}
    [step] = theirs["pull"]
    [folder] = re.findall(r"^WORKDIR (\S+)$", dockerfile(), re.MULTILINE)
    assert step == {"prefect.deployments.steps.set_working_directory": {"directory": folder}}


@pytest.mark.parametrize("name", ["docker.json", "kubernetes.json"])
def test_a_pool_s_template_asks_for_what_it_uses_and_mounts_the_image_s_workspace(name: str) -> None:
    template = json.loads((FOLDER / name).read_text(encoding="utf-8"))
    used = set(re.findall(r"\{\{ (\w+) \}\}", json.dumps(template["job_configuration"])))
    fields: dict[str, dict[str, Any]] = template["variables"]["properties"]
    assert used == set(fields)
    assert fields["image"]["default"] == "kasasagi:latest"
    [workspace] = re.findall(r"KASASAGI_WORKSPACE=(\S+)", dockerfile())
    assert f":{workspace}" in str(fields) or f'"mountPath": "{workspace}"' in json.dumps(template)


def test_the_image_installs_an_extra_that_is_there_and_nothing_of_this_machine_s() -> None:
    [extra] = re.findall(r"pip install .*\"\.\[(\w+)\]\"", dockerfile())
    assert extra in tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    ignored = (FOLDER / "Dockerfile.dockerignore").read_text(encoding="utf-8").split()
    assert {".git", "**/.env", "workspace", "out", ".venv*"} <= set(ignored)
