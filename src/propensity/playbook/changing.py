"""A playbook with some of its settings changed, to try them out."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from propensity.playbook.book import Playbook
from propensity.playbook.reading import PlaybookError, sentences


def changed(playbook: Playbook, settings: Mapping[str, Any]) -> Playbook:
    """The playbook with other settings, checked as a whole.

    Parameters
    ----------
    playbook : Playbook
    settings : mapping of str to object
        By place, such as ``channels.direct_outreach.capacity_per_week`` or ``never.0.within_days``. A text is read as
        TOML has it (``20``, ``true``, ``["email"]``), and taken as it is where it is none.

    Raises
    ------
    PlaybookError
        There is no such place, or the playbook would contradict itself.
    """
    content = playbook.model_dump(mode="json")
    for place, value in settings.items():
        *parents, last = place.split(".")
        holder: Any = content
        for depth, key in enumerate(parents):
            holder = _inside(holder, key, place, ".".join(parents[:depth]))
        _inside(holder, last, place, ".".join(parents))
        holder[int(last) if isinstance(holder, list) else last] = _read(value)
    try:
        return Playbook.model_validate(content)
    except ValidationError as error:
        raise PlaybookError(f"playbook {playbook.name}, changed: {sentences(error)}") from error


def _inside(holder: Any, key: str, place: str, where: str) -> Any:
    if isinstance(holder, list) and key.isdecimal() and int(key) < len(holder):
        return holder[int(key)]
    if isinstance(holder, dict) and key in holder:
        return holder[key]
    names = list(holder) if isinstance(holder, dict) else [str(i) for i in range(len(holder or ()))]
    raise PlaybookError(
        f"{place}: is no setting of the playbook; {where or 'it'} has {', '.join(names) or 'nothing inside'}"
    )


def _read(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        return value
