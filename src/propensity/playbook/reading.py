"""Reading playbooks: from a TOML file, with mistakes told by line."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import ValidationError

from propensity.playbook.book import ContradictionError, Playbook


class Mistake(NamedTuple):
    """A mistake in a playbook; ``line`` counts from 1, and is None where it belongs to no line."""

    line: int | None
    sentence: str


class PlaybookError(ValueError):
    """A playbook cannot be read or contradicts itself.

    Attributes
    ----------
    mistakes : list of Mistake
    """

    exit_code = 2

    def __init__(self, message: str, mistakes: list[Mistake] | None = None) -> None:
        super().__init__(message)
        self.mistakes = mistakes or [Mistake(None, message)]


def load(path: str | Path) -> Playbook:
    """Read and check a playbook.

    Parameters
    ----------
    path : str or Path
        A TOML file, or the name of a playbook that comes with the product (see `shipped`).

    Raises
    ------
    PlaybookError
        The file is not there, is not TOML, or says something that cannot be.
    """
    file = Path(path)
    if not file.exists() and str(path) in shipped():
        file = shipped()[str(path)]
    try:
        text = file.read_text(encoding="utf-8-sig")
    except OSError as error:
        names = ", ".join(shipped())
        raise PlaybookError(
            f"playbook {path}: cannot be read ({error.strerror}). Name a TOML file or one of: {names}"
        ) from error
    except UnicodeDecodeError as error:
        raise PlaybookError(f"playbook {path}: is not a UTF-8 text file (byte {error.start})") from error
    return parse(text, source=str(path))


def parse(text: str, source: str = "playbook") -> Playbook:
    """A playbook from TOML text; ``source`` names it in errors.

    Raises
    ------
    PlaybookError
    """
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        line = re.search(r"at line (\d+)", str(error))
        mistake = Mistake(int(line[1]) if line else None, f"is not valid TOML: {error}")
        raise PlaybookError(f"playbook {source}: {mistake.sentence}", [mistake]) from error
    try:
        return Playbook.model_validate(content)
    except ValidationError as error:
        lines = lines_of(text)
        mistakes = [Mistake(_line(lines, said), said) for said in _all_sentences(error)]
        raise PlaybookError(f"playbook {source}: " + "; ".join(m.sentence for m in mistakes), mistakes) from error


Place = tuple[str, ...]


def lines_of(text: str) -> dict[Place, int]:
    """The line, from 1, on which each table and key of a TOML text begins; tables of an array are counted from 0.

    Keys of inline tables have no line of their own.
    """
    lines: dict[Place, int] = {}
    counted: dict[Place, int] = {}
    table: Place = ()
    for number, line in enumerate(text.splitlines(), start=1):
        if header := re.match(r"\s*(\[\[?)([^\[\]]+)\]", line):
            table = ()
            keys = _keys(header[2])
            for position, key in enumerate(keys):
                table = (*table, key)
                if header[1] == "[[" and position == len(keys) - 1:
                    counted[table] = counted.get(table, -1) + 1
                if table in counted:
                    table = (*table, str(counted[table]))
            lines.setdefault(table, number)
        elif setting := re.match(r"\s*((?:[\w\-]+|\"[^\"]*\"|'[^']*')(?:\s*\.\s*(?:[\w\-]+|\"[^\"]*\"))*)\s*=", line):
            lines.setdefault((*table, *_keys(setting[1])), number)
    return lines


def _keys(dotted: str) -> Place:
    return tuple(key.strip().strip("\"'") for key in dotted.split("."))


def _line(lines: dict[Place, int], sentence: str) -> int | None:
    """The line of the innermost place that a sentence begins with."""
    path = _keys(sentence.split(": ", 1)[0])
    return next((lines[path[:n]] for n in range(len(path), 0, -1) if path[:n] in lines), None)


def shipped() -> dict[str, Path]:
    """The playbooks that come with the product, by name."""
    return {p.stem: p for p in sorted(shipped_directory("playbooks").glob("*.toml"))}


def shipped_directory(name: str) -> Path:
    """Where shipped files lie: ``data/<name>`` of a checkout, or the copy inside an installed wheel."""
    package = Path(__file__).resolve().parents[1]
    checkout = package.parents[1] / "data" / name
    return checkout if checkout.is_dir() else package / "_data" / name


def sentences(error: ValidationError) -> str:
    """What a failed validation found, in words: where, what was expected, what was found."""
    return "; ".join(_all_sentences(error))


def _all_sentences(error: ValidationError) -> list[str]:
    found: list[str] = []
    for e in error.errors():
        reason = e.get("ctx", {}).get("error")
        found += reason.mistakes if isinstance(reason, ContradictionError) else [_sentence(e)]
    return found


def _sentence(error: Any) -> str:
    where = ".".join(str(part) for part in error["loc"])
    kind = error["type"]
    if kind == "missing":
        return f"{where}: is missing"
    if kind == "extra_forbidden":
        return f"{where}: is not a setting that is known here (misspelt?)"
    if kind == "value_error":
        return f"{where}: {error['ctx']['error']}".removeprefix(": ")
    message = error["msg"].replace("Input should be", "expected", 1)
    return f"{where}: {message}, found {error['input']!r}"
