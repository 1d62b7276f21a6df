"""Files are written aside and renamed: a reader sees the whole old file or the whole new one."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path


@contextmanager
def written_aside(target: str | Path) -> Iterator[Path]:
    """A path to write a file (or to make a directory) at; it takes the target's name when the block succeeds.

    On an exception nothing is left behind and an existing target stays as it was.
    """
    with written_together([target]) as (aside,):
        yield aside


@contextmanager
def written_together(targets: Sequence[str | Path], commit: Callable[[], None] = lambda: None) -> Iterator[list[Path]]:
    """Paths to write several files (or to make directories) at; they take the targets' names when the block succeeds.

    ``commit`` is called last, when all are in their places. If anything fails, ``commit`` too, nothing is left behind
    and existing targets stay as they were.
    """
    places = [Path(target) for target in targets]
    workplaces: list[Path] = []
    undone = ExitStack()
    try:
        for place in places:
            place.parent.mkdir(parents=True, exist_ok=True)
            workplaces.append(Path(tempfile.mkdtemp(prefix=f".{place.name}-", dir=place.parent)))
        asides = [work / place.name for work, place in zip(workplaces, places, strict=True)]
        yield asides
        with undone:
            for place, aside, work in zip(places, asides, workplaces, strict=True):
                _put(aside, place, work / f"{place.name}.old", undone)
            commit()
            undone.pop_all()
    finally:
        for work in workplaces:
            shutil.rmtree(work, ignore_errors=True)


def _put(aside: Path, target: Path, old: Path, undone: ExitStack) -> None:
    """Give what was written its target's name; ``undone`` learns how to take that back."""
    if target.is_dir() and not target.is_symlink():
        # a directory with files in it cannot be replaced in one step
        target.rename(old)
        undone.callback(old.rename, target)
        os.replace(aside, target)
        undone.callback(_remove, target)
        return
    if os.path.lexists(target):
        _keep(target, old)
        os.replace(aside, target)
        undone.callback(os.replace, old, target)
        return
    os.replace(aside, target)
    undone.callback(_remove, target)


def _keep(file: Path, old: Path) -> None:
    """Another name for a file, so that it is still there when its own is taken."""
    try:
        os.link(file, old, follow_symlinks=False)
    except OSError:  # not every file system has such names
        shutil.copy2(file, old, follow_symlinks=False)


def _remove(target: Path) -> None:
    if target.is_dir() and not target.is_symlink():
        shutil.rmtree(target)
    else:
        target.unlink()


def write_text(target: str | Path, text: str) -> None:
    """Write a text file aside and rename it."""
    with written_aside(target) as aside:
        aside.write_text(text, encoding="utf-8")


def write_bytes(target: str | Path, content: bytes) -> None:
    """Write a file whole or not at all."""
    with written_aside(target) as aside:
        aside.write_bytes(content)


def point_link(link: Path, target: str) -> None:
    """Make a symbolic link, or point an existing one elsewhere in one step; what is no link stays as it is."""
    if link.exists() and not link.is_symlink():
        return
    with written_aside(link) as aside:
        aside.symlink_to(target)
