"""Where a search is kept, so that it can go on after a stop."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import optuna
from optuna.storages import BaseStorage, InMemoryStorage, JournalStorage
from optuna.storages.journal import JournalFileBackend

from propensity.errors import InputError


def open_storage(file: Path | None, name: str) -> BaseStorage:
    """Storage in which the study of this name, or nothing yet, lies; without a file, memory.

    Raises
    ------
    InputError
        The file is no such storage, or holds another study.
    """
    if file is None:
        return InMemoryStorage()
    new = not file.exists() or (file.is_file() and file.stat().st_size == 0)
    with _readable(file):
        storage = JournalStorage(JournalFileBackend(str(file)))
        names = optuna.get_all_study_names(storage)
    if not new and not names:
        raise InputError(f"--tune-storage {file}: expected the trials of a search, found none; name a new file")
    if names and name not in names:
        raise InputError(
            f"--tune-storage {file}: holds the search of other data, another seed or another version of propensity; "
            "name a new file"
        )
    if not new and _cut_off_line(file):
        with _readable(file):
            storage = JournalStorage(JournalFileBackend(str(file)))
    return storage


@contextmanager
def _readable(file: Path) -> Iterator[None]:
    """A file that is no journal, in one sentence; Optuna gives it up in many ways."""
    try:
        yield
    except (ValueError, LookupError, TypeError, AssertionError, AttributeError) as error:
        raise InputError(
            f"--tune-storage {file}: expected the trials of a search, found something else or a damaged file; "
            "name a new file"
        ) from error
    except OSError as error:
        raise InputError(f"--tune-storage {file}: cannot be used ({error.strerror}); name another file") from error


def _cut_off_line(file: Path) -> bool:
    """Take away a last line that a crash cut short: the next one would be written onto it, and none read again."""
    content = file.read_bytes()
    if content.endswith(b"\n"):
        return False
    with file.open("r+b") as journal:
        journal.truncate(content.rfind(b"\n") + 1)
    return True
