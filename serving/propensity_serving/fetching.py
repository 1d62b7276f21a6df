"""A version's files, brought from the registry to this machine."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from propensity.registered import Pointed, RegistryDown

FETCH_SECONDS = 120


@contextmanager
def fetched(pointed: Pointed) -> Iterator[Path]:
    """The directory of all that MLflow logged of a version; what had to be brought here is removed in the end.

    Raises
    ------
    RegistryDown
        The files cannot be had.
    """
    if pointed.directory is not None:
        yield pointed.directory
        return
    with tempfile.TemporaryDirectory(prefix="propensity-") as aside:
        yield _download(pointed, aside)


def _download(pointed: Pointed, aside: str) -> Path:
    command = [sys.executable, "-m", "propensity.download", pointed.name, pointed.version, aside]
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=FETCH_SECONDS, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise RegistryDown(f"model {pointed.title}: its files did not come within {FETCH_SECONDS} seconds") from error
    said = (done.stdout if done.returncode == 0 else done.stderr).strip().splitlines()
    if done.returncode != 0 or not said:
        raise RegistryDown(f"model {pointed.title}: its files cannot be had ({said[-1] if said else 'no word why'})")
    return Path(said[-1])
