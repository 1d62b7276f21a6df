"""The last good copy: models that passed their checks, kept so that the service starts while the registry is down.

``models/NAME/VERSION-DIGEST/`` holds a model's own files, and ``models/NAME/ALIAS.json`` names the one to serve. Each
is made aside and renamed, so that workers which do so at the same time put the same thing there one after another.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from propensity.checksums import MANIFEST_FILE, check_files, file_digest
from propensity.errors import InputError
from propensity.files import write_text
from propensity.registered import Pointed
from propensity_serving.refusal import ModelRefused

KEPT = 3
"""Versions of a model whose files stay."""
ASIDE_SECONDS = 3_600
"""What was made aside longer ago was left by a worker that was killed meanwhile."""


@dataclass(frozen=True)
class Copy:
    """A model that served before, on this machine.

    Attributes
    ----------
    pointed : Pointed
        The version; its directory holds the model's own files.
    digest : str
        SHA-256 of the list of its files' checksums.
    """

    pointed: Pointed
    digest: str

    def require_intact(self) -> None:
        """Raise `ModelRefused` if the copy is not what was kept."""
        directory = self.pointed.directory
        try:
            if directory is None or file_digest(directory / MANIFEST_FILE) != self.digest:
                raise InputError(f"{directory}: the list of checksums is not the one that was kept")
            check_files(directory)
        except (InputError, OSError) as error:
            raise ModelRefused(
                f"model {self.pointed.title}, its last good copy: {error}", "its last good copy was changed"
            ) from error


def last_good(state: Path, alias: str, name: str | None = None) -> Copy | None:
    """What served last under an alias, if anything did; without a name, of the only model there is.

    Raises
    ------
    ModelRefused
        The note of what served last cannot be read.
    """
    places = state / "models"
    notes = [places / _safe(name)] if name else (sorted(places.iterdir()) if places.is_dir() else [])
    found = [note for note in (directory / f"{_safe(alias)}.json" for directory in notes) if note.is_file()]
    if len(found) != 1:
        return None
    try:
        note = json.loads(found[0].read_text(encoding="utf-8"))
        registered_at = note["registered_at"]
        pointed = Pointed(
            note["name"],
            note["version"],
            note["run_id"],
            datetime.fromisoformat(registered_at) if registered_at else None,
            found[0].parent / Path(note["directory"]).name,
        )
        return Copy(pointed, str(note["digest"]))
    except (OSError, ValueError, KeyError, TypeError) as error:
        detail = f"last good copy: {found[0]} cannot be read ({type(error).__name__})"
        raise ModelRefused(detail, "the note of the last good copy cannot be read") from error


def keep(state: Path, alias: str, pointed: Pointed, files: Path) -> None:
    """Copy the files of a model that passed its checks, and note that it serves under this alias.

    Raises
    ------
    OSError, InputError
        It cannot be written, or the files changed meanwhile.
    """
    home = state / "models" / _safe(pointed.name)
    home.mkdir(parents=True, exist_ok=True)
    digest = file_digest(files / MANIFEST_FILE)
    target = home / f"{_safe(pointed.version)}-{digest[:12]}"
    if not _is_intact(target, digest):
        _copy(files, target, digest)
    os.utime(target)  # the newest is what served last, not what was trained last
    note: dict[str, Any] = {
        "name": pointed.name,
        "version": pointed.version,
        "run_id": pointed.run_id,
        "registered_at": pointed.registered_at.isoformat() if pointed.registered_at else None,
        "directory": target.name,
        "digest": digest,
        "kept_at": datetime.now(UTC).isoformat(),
    }
    write_text(home / f"{_safe(alias)}.json", json.dumps(note, indent=1))
    _forget_old(home)


def _copy(files: Path, target: Path, digest: str) -> None:
    aside = target.with_name(f".{target.name}-{secrets.token_hex(4)}")
    try:
        shutil.copytree(files, aside)
        check_files(aside)
        try:
            os.rename(aside, target)
        except OSError:
            # what another worker put there meanwhile may be in use already and stays
            if not _is_intact(target, digest):
                _replace(target, aside)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
        shutil.rmtree(aside.with_suffix(".old"), ignore_errors=True)


def _replace(target: Path, aside: Path) -> None:
    with contextlib.suppress(FileNotFoundError):
        target.rename(aside.with_suffix(".old"))
    try:
        os.rename(aside, target)
    except OSError:  # another worker was as quick
        check_files(target)


def _is_intact(directory: Path, digest: str) -> bool:
    try:
        if file_digest(directory / MANIFEST_FILE) != digest:
            return False
        check_files(directory)
    except (OSError, InputError):
        return False
    return True


def _forget_old(home: Path) -> None:
    """Remove all but the newest copies, but for those that a note names, and what was begun and never finished."""
    named = {name for note in home.glob("*.json") if (name := _named(note)) is not None}
    with contextlib.suppress(FileNotFoundError):  # another worker removes the same
        made = {directory: directory.stat() for directory in home.iterdir() if directory.is_dir()}
        whole = sorted((d for d in made if not d.name.startswith(".")), key=lambda d: made[d].st_mtime)
        old = [d for d in whole[:-KEPT] if d.name not in named]
        # a copy has its original's time of modification from the first, but not that of its last change
        left = [d for d in made if d.name.startswith(".") and made[d].st_ctime < time.time() - ASIDE_SECONDS]
        for directory in (*old, *left):
            shutil.rmtree(directory, ignore_errors=True)


def _named(note: Path) -> str | None:
    """The copy that a note names; none where it cannot be read, so that nothing could be served by it either."""
    try:
        return str(json.loads(note.read_text(encoding="utf-8"))["directory"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _safe(name: str) -> str:
    """A name as one part of a path."""
    return quote(name, safe="").replace(".", "%2E")
