"""Does the service keep what it acknowledged, however often it is killed, and whatever it is sent?

`python benchmarks/serving/kill.py` runs two of the tests in `tests/survival` for longer than a test run can: 20 times
kill -9 of the whole server under load, and 10,000 made bodies. `--kills` and `--bodies` take other numbers.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parents[2] / "tests" / "survival"


def main() -> int:
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--kills", type=int, default=20)
    asked.add_argument("--bodies", type=int, default=10_000)
    numbers = asked.parse_args()
    # the tests read their numbers when they are imported
    os.environ |= {"PROPENSITY_TEST_KILLS": str(numbers.kills), "PROPENSITY_TEST_BODIES": str(numbers.bodies)}
    files = [("test_kills.py", numbers.kills), ("test_bodies.py", numbers.bodies)]
    return pytest.main([*(str(TESTS / name) for name, number in files if number), "--durations=5"])


if __name__ == "__main__":
    sys.exit(main())
