"""The files in deploy/ name commands and options that there are."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import click
import pytest
import typer
import yaml

from propensity.cli import application

DEPLOY = Path(__file__).parents[1] / "deploy"
COMPOSE = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))
UNIT = (DEPLOY / "propensity.service").read_text(encoding="utf-8")


def require(command: click.Command, arguments: list[str]) -> None:
    """The command and its options exist, and its arguments are understood."""
    while isinstance(command, click.Group):
        name, *arguments = arguments
        assert name in command.commands, name
        command = command.commands[name]
    with click.Context(command, info_name=command.name) as context:
        command.parse_args(context, list(arguments))


def propensity_commands() -> list[list[str]]:
    """Every call of `propensity` in the files, with its comments' ones."""
    lines = (DEPLOY / "compose.yaml").read_text(encoding="utf-8").splitlines() + UNIT.splitlines()
    found = [
        re.search(r"(?:\bpropensity|rm trainer) ((?:serve|ledger|train|playbook|keys) .*?)'?\]?$", line)
        for line in lines
    ]
    return [shlex.split(match[1].replace("$", "")) for match in found if match]


def test_every_command_of_the_product_is_one():
    commands = propensity_commands()
    assert {c[0] for c in commands} == {"serve", "ledger", "train", "playbook", "keys"}
    assert len(commands) == 6
    for arguments in commands:
        require(typer.main.get_command(application()), arguments)


def test_mlflow_has_the_options_of_its_server():
    subcommand, *options = COMPOSE["services"]["mlflow"]["command"]
    told = subprocess.run(
        [sys.executable, "-m", "mlflow", subcommand, "--help"], capture_output=True, text=True, timeout=120, check=True
    ).stdout
    for option in options[::2]:
        assert re.search(rf"{option}\b", told), option


def test_services_wait_for_services_that_there_are_and_keep_what_they_hold():
    services, volumes = COMPOSE["services"], COMPOSE["volumes"]
    for service in services.values():
        assert set(service.get("depends_on", {})) <= set(services)
        assert {v.split(":")[0] for v in service.get("volumes", [])} <= set(volumes)
    dockerfile = services["service"]["build"]["dockerfile"]
    assert (DEPLOY.parent / dockerfile).is_file()
    assert services["service"]["environment"]["MLFLOW_TRACKING_URI"].startswith("http://mlflow:")


def test_what_the_image_copies_is_there():
    text = (DEPLOY / "Dockerfile").read_text(encoding="utf-8")
    for copied in re.findall(r"^COPY (\S+) ", text, re.MULTILINE):
        assert (DEPLOY.parent / copied).exists(), copied


def test_the_unit_is_one_that_systemd_takes(tmp_path):
    if shutil.which("systemd-analyze") is None:
        pytest.skip("no systemd-analyze")
    unit = tmp_path / "propensity.service"
    # where it is installed is the machine's choice
    unit.write_text(UNIT.replace("/opt/propensity/.venv/bin/propensity", sys.executable))
    done = subprocess.run(["systemd-analyze", "verify", str(unit)], capture_output=True, text=True, timeout=60)
    said = [line for line in done.stderr.splitlines() if "propensity.service" in line]
    assert (done.returncode, said) == (0, [])
