"""Does the product keep quiet where there is nothing to say?

Runs the whole job (`propensity run`) on the Hillstrom experiment with the arms shuffled, so that no effect exists, once
for each seed 0, 1, ..., and counts how often the verdict is anything but "no difference worth acting on":
`python benchmarks/shuffled_arms.py --runs 20`.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path


def verdict_of_shuffled_run(seed: int) -> tuple[str, str]:
    """Kind and headline of the verdict of one run."""
    with tempfile.TemporaryDirectory() as directory:
        environment = {**os.environ, "MLFLOW_TRACKING_URI": f"sqlite:///{directory}/mlflow.db"}
        command = [sys.executable, "-m", "propensity", "run", "--data", "hillstrom", "--shuffle-arms", str(seed)]
        subprocess.run([*command, "--out", "runs"], cwd=directory, env=environment, check=True, capture_output=True)
        summary = next(Path(directory, "runs").glob("*/summary.json"))
        verdict = json.loads(summary.read_text(encoding="utf-8"))["verdict"]
    return verdict["kind"], verdict["headline"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=20)
    options = parser.parse_args()
    start, differing = time.monotonic(), 0
    for seed in range(options.runs):
        kind, headline = verdict_of_shuffled_run(seed)
        differing += kind != "no_difference"
        print(f"shuffle {seed}: {kind}: {headline}", flush=True)
    seconds = time.monotonic() - start
    print(f"{differing} of {options.runs} shuffles said anything but that there is no difference ({seconds:.0f} s)")


if __name__ == "__main__":
    main()
