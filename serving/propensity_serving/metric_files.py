"""Room for a worker's metrics: a full disk must not end it.

prometheus-client keeps the figures of each worker in files mapped into memory that have no blocks on the disk at first.
Whoever writes to such a page when the disk is full is ended by the system (SIGBUS): the blocks are taken at the start.
"""

from __future__ import annotations

import os
from pathlib import Path

DIRECTORY_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
_KIBIBYTE = 1024
_KIBIBYTES = {
    "counter": 512,
    "histogram": 512,
    **dict.fromkeys((f"gauge_{mode}" for mode in ("all", "livemax", "livemin", "livesum", "max", "mostrecent")), 64),
    "summary": 64,
}
"""By the kinds of files, each more than the service's routes, models and playbooks ever fill."""


def reserve() -> None:
    """Take the blocks of this process's files, before anything is measured.

    Raises
    ------
    OSError
        The disk has no room for them.
    """
    directory = os.environ.get(DIRECTORY_VARIABLE)
    if directory is None or not hasattr(os, "posix_fallocate"):  # one process, or a system without such calls
        return
    for kind, n_kibibytes in _KIBIBYTES.items():
        with (Path(directory) / f"{kind}_{os.getpid()}.db").open("ab") as file:
            os.posix_fallocate(file.fileno(), 0, n_kibibytes * _KIBIBYTE)
