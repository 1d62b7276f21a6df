"""`propensity train` in a process of its own, which stops at a moment and waits to be killed."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import mlflow
from mlflow.tracking import MlflowClient

from propensity import cli
from propensity.ledger import leases
from propensity.model import DecisionModel
from propensity_training import pipeline

LEASE_SECONDS = 3.0
MOMENTS = {
    "fit": (DecisionModel, "fit"),
    "assessment": (pipeline, "held_out_people"),
    "logging": (mlflow.pyfunc, "log_model"),
    "aliases": (MlflowClient, "set_registered_model_alias"),
}


def main() -> None:
    moment, marker, *arguments = sys.argv[1:]
    leases.LEASE_SECONDS = LEASE_SECONDS

    def stop(*_: object, **__: object) -> None:
        Path(marker).touch()
        time.sleep(600)

    owner, name = MOMENTS[moment]
    setattr(owner, name, stop)
    sys.argv = ["propensity", "train", *arguments]
    cli.main()


if __name__ == "__main__":
    main()
