"""Fitted models as text: one JSON file, and one text file for each Booster. Never a pickle."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import lightgbm as lgb

from propensity.checksums import MANIFEST_FILE, STATE_FILE, check_files, file_digest
from propensity.errors import InputError
from propensity.files import written_aside

_BOOSTER = "$booster"


def save_state(state: dict[str, Any], directory: str | Path) -> None:
    """Write a state (JSON-ready values and Boosters) as a directory, whole or not at all.

    ``manifest.json`` lists the SHA-256 of every other file.
    """
    with written_aside(directory) as aside:
        (aside / "boosters").mkdir(parents=True)
        boosters: list[lgb.Booster] = []
        text = json.dumps(_without_boosters(state, boosters), indent=1)
        (aside / STATE_FILE).write_text(text, encoding="utf-8")
        for number, booster in enumerate(boosters):
            (aside / _booster_file(number)).write_text(booster.model_to_string(), encoding="utf-8")
        manifest = {str(p.relative_to(aside)): file_digest(p) for p in sorted(aside.rglob("*")) if p.is_file()}
        (aside / MANIFEST_FILE).write_text(json.dumps(manifest, indent=1), encoding="utf-8")


def load_state(directory: str | Path) -> dict[str, Any]:
    """Read what `save_state` wrote.

    Raises
    ------
    InputError
        A file is missing or is not the one that was saved.
    """
    directory = Path(directory)
    check_files(directory)
    try:
        return _with_boosters(json.loads((directory / STATE_FILE).read_text(encoding="utf-8")), directory)
    except OSError as error:
        raise InputError(f"model {directory}: {error.filename} cannot be read ({error.strerror})") from error
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"model {directory}: a file is not valid JSON ({error})") from error


def _booster_file(number: int) -> str:
    return f"boosters/{number:03d}.txt"


def _without_boosters(value: Any, boosters: list[lgb.Booster]) -> Any:
    if isinstance(value, lgb.Booster):
        boosters.append(value)
        return {_BOOSTER: len(boosters) - 1}
    if isinstance(value, dict):
        return {k: _without_boosters(v, boosters) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_without_boosters(v, boosters) for v in value]
    return value


def _with_boosters(value: Any, directory: Path) -> Any:
    if isinstance(value, dict):
        if set(value) == {_BOOSTER}:
            return lgb.Booster(model_file=str(directory / _booster_file(value[_BOOSTER])))
        return {k: _with_boosters(v, directory) for k, v in value.items()}
    if isinstance(value, list):
        return [_with_boosters(v, directory) for v in value]
    return value
