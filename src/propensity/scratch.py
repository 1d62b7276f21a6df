"""A place for what a job needs while it runs, which outlives no kill for long; POSIX locks tell whether it runs."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def scratch_directory(prefix: str) -> Iterator[Path]:
    """A directory that nobody else may look into, among the system's temporary ones; gone when the block ends.

    Those of the same prefix whose process was killed go when the next one begins.
    """
    for left in Path(tempfile.gettempdir()).glob(f"{prefix}*"):
        with suppress(OSError), _locked(left, fcntl.LOCK_EX | fcntl.LOCK_NB):
            # one that is being made is empty until it is locked
            if any(left.iterdir()):
                shutil.rmtree(left)
    with tempfile.TemporaryDirectory(prefix=prefix) as made, _locked(Path(made), fcntl.LOCK_SH):
        yield Path(made)


@contextmanager
def _locked(directory: Path, how: int) -> Iterator[None]:
    """A lock that ends with the process at the latest."""
    opened = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        fcntl.flock(opened, how)
        yield
    finally:
        os.close(opened)
