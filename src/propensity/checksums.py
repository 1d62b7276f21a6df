"""The files of a saved model and their checksums."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from propensity.errors import InputError

STATE_FILE = "model.json"
MANIFEST_FILE = "manifest.json"
"""Lists the SHA-256 of every other file."""


def file_digest(file: Path) -> str:
    """SHA-256 of a file's content, in hexadecimal."""
    return hashlib.sha256(file.read_bytes()).hexdigest()


def check_files(directory: Path) -> None:
    """Compare the files of a saved state with their checksums.

    Raises
    ------
    InputError
        A file is missing or is not the one that was saved.
    """
    try:
        manifest = json.loads((directory / MANIFEST_FILE).read_text(encoding="utf-8"))
        changed = [name for name, digest in manifest.items() if file_digest(directory / name) != digest]
    except OSError as error:
        raise InputError(f"model {directory}: {error.filename} cannot be read ({error.strerror})") from error
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"model {directory}: a file is not valid JSON ({error})") from error
    if STATE_FILE not in manifest:
        raise InputError(f"model {directory}: {MANIFEST_FILE} does not list {STATE_FILE}; train again")
    if changed:
        raise InputError(f"model {directory}: {', '.join(changed)} is not the file that was saved; train again")
