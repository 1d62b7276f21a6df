"""From the command line to the running server, as fast as its imports allow."""

from __future__ import annotations

import gc
import importlib
import json
import os
import runpy
import subprocess
import sys
from pathlib import Path

from propensity.errors import InputError, JobError
from propensity_serving.settings import STATE_VARIABLE, default_state

SERVICE = "propensity_serving.service"


def start(host: str, port: int, workers: int, ledger: str, environment: dict[str, str]) -> None:
    """Check, then become BentoML's server, which ends by SIGTERM or Ctrl-C after answering what it was asked.

    Parameters
    ----------
    host : str
    port : int
    workers : int
    ledger : str
        Its address.
    environment : dict of str
        Settings for the workers.

    Raises
    ------
    InputError, JobError
        The check of `start_check` failed; its own sentence.
    """
    state = Path(os.environ.get(STATE_VARIABLE) or default_state(ledger)).absolute()
    os.environ.update(environment)
    os.environ.update({"BENTOML_DO_NOT_TRACK": "True", STATE_VARIABLE: str(state)})
    # BentoML empties the directory of its workers' metrics when it starts: each server needs its own
    home = Path(os.environ.setdefault("BENTOML_HOME", str(state / f"server-{port}")))
    check = subprocess.Popen(
        [sys.executable, "-m", "propensity_serving.start_check"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    # this takes as long as the check does; imports leave no garbage
    gc.disable()
    for module in ("bentoml_cli.cli", "bentoml_cli.serve", "_bentoml_impl.server.serving", "circus.arbiter"):
        importlib.import_module(module)
    importlib.import_module(SERVICE)
    gc.enable()
    told, wrong = check.communicate()
    if check.returncode != 0:
        lines = wrong.strip().splitlines() or ["the check before the start failed without a word"]
        raise (InputError if check.returncode == InputError.exit_code else JobError)(lines[-1])
    serves = json.loads(told)
    if serves["warning"]:
        print(f"Warning: {serves['warning']}", file=sys.stderr)
    print(
        f"Serving {serves['name']} version {serves['version']} on http://{host}:{port}/ "
        f"(ledger {serves['ledger']}); stop with Ctrl-C.",
        flush=True,
    )
    home.mkdir(parents=True, exist_ok=True)
    sys.argv = ["bentoml", "serve", f"{SERVICE}:PropensityService"]
    sys.argv += ["--host", host, "--port", str(port), "--api-workers", str(workers)]
    runpy.run_module("bentoml", run_name="__main__")
