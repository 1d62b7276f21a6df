"""Files that are right but for one change."""

from __future__ import annotations

from pathlib import Path


def change(file: Path, old: str, new: str, count: int = 1) -> None:
    """Put other words into a file, that often; the old ones must be there."""
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new, count))
