"""The files that put the program on other machines: held to rules, since nothing here runs them."""

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import AliasChoices

from chatops.cli import _parser
from chatops.settings import Settings

ROOT = Path(__file__).parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = [name for name, service in SERVICES.items() if "build" in service]

_OF_OTHER_PROGRAMS = {"PYTHONUNBUFFERED"}


def instructions() -> list[tuple[str, str]]:
    """Return the Dockerfile's instructions, each with its arguments in one line."""
    text = re.sub(r"^\s*#.*\n", "", (ROOT / "Dockerfile").read_text(), flags=re.MULTILINE)
    lines = text.replace("\\\n", " ").splitlines()
    return [(line.split()[0], line.split(None, 1)[1]) for line in lines if line.strip()]


def arguments_of(instruction: str) -> list[str]:
    return [arguments for name, arguments in instructions() if name == instruction]


def names_of_settings() -> set[str]:
    found = set()
    for name, field in Settings.model_fields.items():
        found.add(f"CHATOPS_{name.upper()}")
        if isinstance(field.validation_alias, AliasChoices):
            found |= {str(choice) for choice in field.validation_alias.choices}
    return found


def tag_of(image: str) -> str:
    return image.rpartition("/")[2].partition(":")[2]


def test_every_image_has_a_tag_that_stays_what_it_is() -> None:
    stages = {image.split()[-1] for image in arguments_of("FROM") if " AS " in image}
    bases = {image.split()[0] for image in arguments_of("FROM")} - stages
    published = {service["image"] for name, service in SERVICES.items() if name not in OURS}
    assert bases
    assert published
    for image in bases | published:
        assert re.match(r"\d+\.\d+", tag_of(image)), f"{image} may be another tomorrow"


def test_the_image_runs_as_a_user_without_rights_and_can_be_asked_for_its_health() -> None:
    (user,) = arguments_of("USER")
    names = [name for name, _ in instructions()]
    assert user not in ("root", "0")
    assert names.index("USER") > max(n for n, name in enumerate(names) if name == "RUN")
    assert any(user in arguments for arguments in arguments_of("RUN"))
    (health,) = arguments_of("HEALTHCHECK")
    assert "/readyz" in health
    assert names[-2:] == ["ENTRYPOINT", "CMD"]
    assert arguments_of("ENTRYPOINT") == ['["chatops"]']


def test_nothing_comes_from_somewhere_unpinned() -> None:
    assert not arguments_of("ADD"), "COPY does what is needed, and nothing else"
    for arguments in arguments_of("RUN"):
        assert not re.search(r"\b(curl|wget)\b", arguments)
        if "apt-get install" in arguments:
            assert "rm -rf /var/lib/apt/lists" in arguments
            assert "--no-install-recommends" in arguments
        for step in arguments.split("&&"):
            if " pip " in f" {step} ":
                assert "-c constraints.txt" in step or "--no-index" in step
                assert "--no-cache-dir" in step
            if " npm " in f" {step} ":
                assert re.match(r"\s*npm (ci|run) ", step), "npm ci takes what the lock file names"


def test_what_is_copied_exists_and_reaches_the_builder() -> None:
    ignored = (ROOT / ".dockerignore").read_text().split()
    copied = [words for words in map(shlex.split, arguments_of("COPY")) if "--from" not in words[0]]
    assert copied
    for *sources, _target in copied:
        for source in sources:
            assert (ROOT / source).exists(), source
            assert f"!{source.removeprefix('./')}" in ignored, f"{source} is kept from the builder"


def test_a_secret_is_in_no_layer_and_in_no_file_of_the_repository() -> None:
    assert not re.search(r"(PASSWORD|SECRET|TOKEN|_KEY)=", (ROOT / "Dockerfile").read_text())
    example = dict(
        line.split("=", 1)
        for line in (ROOT / ".env.example").read_text().splitlines()
        if line and not line.startswith("#")
    )
    text = (ROOT / "compose.yaml").read_text()
    asked = set(re.findall(r"(?<!\$)\$\{(\w+)", text))
    assert asked == set(example)
    for name in asked:
        if "PASSWORD" in name or "KEY" in name:
            assert example[name] == "change-me"
            assert f"${{{name}:?" in text, f"{name} must not be forgotten"
    assert "/.env" in (ROOT / ".gitignore").read_text().split()


@pytest.mark.parametrize("name", SERVICES)
def test_every_service_tells_its_health_or_why_it_cannot(name: str) -> None:
    service = SERVICES[name]
    health = service.get("healthcheck", {})
    if health.get("disable"):
        assert len(service["x-no-healthcheck"]) > 20
    else:
        assert health["test"][0] in ("CMD", "CMD-SHELL")
    assert service["restart"] == "unless-stopped"


def test_only_the_proxy_can_be_reached_from_outside() -> None:
    assert [name for name, service in SERVICES.items() if "ports" in service] == ["proxy"]
    assert not any(service.get("network_mode") == "host" for service in SERVICES.values())
    assert not any(service.get("privileged") for service in SERVICES.values())


def test_every_variable_is_a_setting_of_this_program() -> None:
    known = names_of_settings() | _OF_OTHER_PROGRAMS
    in_image = {
        word.partition("=")[0] for line in arguments_of("ENV") for word in shlex.split(line)
    }
    assert in_image
    assert in_image <= known
    assert len(OURS) == 3
    for name in OURS:
        assert set(SERVICES[name]["environment"]) <= known


def test_what_the_containers_run_are_commands_of_this_program() -> None:
    commands = _parser()._subparsers._group_actions[0].choices  # type: ignore[union-attr]
    assert commands is not None
    for name in OURS:
        assert SERVICES[name]["command"][0] in commands


def test_what_a_service_depends_on_and_mounts_is_there() -> None:
    for service in SERVICES.values():
        for name in service.get("depends_on", {}):
            assert not SERVICES[name].get("healthcheck", {}).get("disable")
        for mount in service.get("volumes", []):
            source = mount.partition(":")[0]
            assert source in COMPOSE["volumes"] or (ROOT / source).is_file()
    nodes = re.findall(r"server ([\w-]+):(\d+)", (ROOT / "deploy" / "nginx.conf").read_text())
    assert {name for name, _ in nodes} == {name for name in OURS if name.startswith("node")}
    assert {port for _, port in nodes} == {"8500"}
