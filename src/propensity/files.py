"""Files are written aside and renamed: a reader sees the whole old file or the whole new one."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def written_aside(target: str | Path) -> Iterator[Path]:
    """A path to write a file (or to make a directory) at; it takes the target's name when the block succeeds.

    On an exception nothing is left behind and an existing target stays as it was.
    """
    target = Path(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    workplace = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    aside = workplace / target.name
    try:
        yield aside
        if target.is_dir() and not target.is_symlink():
            _replace_directory(target, aside, workplace / f"{target.name}.old")
        else:
            os.replace(aside, target)
    finally:
        shutil.rmtree(workplace, ignore_errors=True)


def _replace_directory(target: Path, aside: Path, old: Path) -> None:
    # a directory with files in it cannot be replaced in one step
    target.rename(old)
    try:
        os.replace(aside, target)
    except OSError:
        old.rename(target)
        raise


def write_text(target: str | Path, text: str) -> None:
    """Write a text file aside and rename it."""
    with written_aside(target) as aside:
        aside.write_text(text, encoding="utf-8")


def point_link(link: Path, target: str) -> None:
    """Make a symbolic link, or point an existing one elsewhere in one step; what is no link stays as it is."""
    if link.exists() and not link.is_symlink():
        return
    with written_aside(link) as aside:
        aside.symlink_to(target)
