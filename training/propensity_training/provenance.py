"""What a training was made from, so that it can be made again: the code, its libraries, and the settings."""

from __future__ import annotations

import hashlib
import json
import subprocess
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import propensity
import propensity_training
from propensity import __version__
from propensity.threads import available_threads

LIBRARIES = ("lightgbm", "scikit-learn", "numpy", "pandas")
"""On which the figures of a model depend."""
PLAYBOOK_FILE = "playbook.json"
"""Logged beside a model: the whole content of the playbook that it was trained with."""
_PACKAGES = tuple(Path(str(package.__file__)).parent for package in (propensity, propensity_training))
_DIGITS = 16


def parameters() -> dict[str, str]:
    """Parameters of every run: the versions of code and libraries, and how many threads there were."""
    libraries = {f"version_{name.replace('-', '_')}": version(name) for name in LIBRARIES}
    return {
        "code_version": code_version(),
        "code_files": code_files(),
        "threads": str(available_threads()),
        **libraries,
    }


@cache
def code_version() -> str:
    """The package's version, with the commit where the code is in a Git work tree, else with a hash of its files.

    Returns
    -------
    str
        ``0.9.0+git.1a2b3c4d5e6f``; ``.dirty.`` and a hash of the files follow where files were changed since.
    """
    home = _PACKAGES[0]
    commit = _git("rev-parse", "--short=12", "HEAD") if _git("ls-files", str(home / "__init__.py")) else None
    if not commit:
        return f"{__version__}+files.{code_files()}"
    changed = _git("status", "--porcelain", "--", *map(str, _PACKAGES))
    return f"{__version__}+git.{commit}" + (f".dirty.{code_files()}" if changed else "")


@cache
def code_files() -> str:
    """Hash of the source files of the core and of training, 16 hexadecimal digits."""
    digest = hashlib.sha256()
    for package in _PACKAGES:
        for file in sorted(package.rglob("*.py")):
            digest.update(f"{package.name}/{file.relative_to(package)}\0".encode())
            digest.update(file.read_bytes())
    return digest.hexdigest()[:_DIGITS]


def fingerprint_of(settings: dict[str, Any]) -> str:
    """Hash of settings, 16 hexadecimal digits."""
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:_DIGITS]


def _git(*arguments: str) -> str | None:
    """What Git answers; None where there is none, or no work tree."""
    try:
        asked = ["git", "-C", str(_PACKAGES[0]), *arguments]
        done = subprocess.run(asked, capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
