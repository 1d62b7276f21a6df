"""What campaign tools do with what is pasted into them: of their languages, what docs/integrations.md uses.

Anything else in a template is an error here, as is a key of an answer that the service did not give.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx

GUIDE = Path(__file__).parents[2] / "docs" / "integrations.md"
ADDRESS, KEY_PLACE = "https://propensity.example.com", "YOUR-KEY"
_SNIPPET = re.compile(r"<!-- snippet: (?P<name>[\w-]+) -->\n```(?P<language>\w+)\n(?P<text>.*?)```\n", re.S)
SNIPPETS = {found["name"]: found["text"] for found in _SNIPPET.finditer(GUIDE.read_text(encoding="utf-8"))}
STATUS = "__http_status_code__"
CONNECTED_SETTINGS = {"basic_auth", "cache_max_age", "retry", "save", "method", "content_type", "body"}


class Aborted(Exception):  # noqa: N818 - what Braze calls it
    """The message is not sent."""


class Answer(dict[str, Any]):
    """An answer of the service: a template may only use keys that it has, unless it refuses."""


@dataclass(frozen=True)
class Asked:
    """A request as a tool's form has it."""

    method: str
    path: str
    headers: dict[str, str]
    body: str


def form(name: str, key: str) -> Asked:
    """A snippet that is filled into a form: method and address, headers, body."""
    head, _, body = SNIPPETS[name].replace(KEY_PLACE, key).partition("\n\n")
    first, *rest = head.strip().splitlines()
    method, _, address = first.partition(" ")
    assert address.startswith(ADDRESS)
    return Asked(method, address.removeprefix(ADDRESS), dict(line.split(": ", 1) for line in rest), body)


def looked_up(place: str, values: Mapping[str, Any]) -> Any:
    """The value at ``a.b[0].c``; Braze writes its own as ``a.${b}``. What a person lacks is None."""
    found: Any = values
    for part in re.findall(r"\w+", place):
        if found is None:
            return None
        if isinstance(found, list):
            found = found[int(part)]
        else:
            found = found[part] if isinstance(found, Answer) else found.get(part)
    return found


FILTERS: dict[str, Callable[[Any, str], Any]] = {
    "url_param_escape": lambda value, _: quote(_text(value), safe=""),
    "json_escape": lambda value, _: json.dumps(_text(value))[1:-1],
    "date": lambda value, form: "" if value is None else datetime.fromisoformat(value).strftime(form.strip("'")),
    "default": lambda value, other: other if value in (None, "") else value,
    "lookup": lambda value, name: value.get(name.strip("'")),
}


def filled(text: str, values: Mapping[str, Any]) -> str:
    """A text with its ``{{ ... }}`` filled in."""

    def one(found: re.Match[str]) -> str:
        place, *filters = found[1].split("|")
        value = looked_up(place, values)
        for step in filters:
            name, _, argument = step.strip().partition(":")
            value = FILTERS[name](value, argument.strip())
        return _text(value)

    return re.sub(r"\{\{((?:\$\{\w+\}|[^{}])+)\}\}", one, text)


def _text(value: Any) -> str:
    return "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


class Braze:
    """Renders messages, and asks what they are connected to.

    Parameters
    ----------
    http : httpx.Client
        Reaches the service.
    credentials : mapping
        Passwords by their names in Braze.
    """

    def __init__(self, http: httpx.Client, credentials: Mapping[str, str]) -> None:
        self._http, self._credentials = http, credentials
        self.answers: list[Any] = []

    def render(self, text: str, person: Mapping[str, Any]) -> str:
        """A message for a person.

        Raises
        ------
        Aborted
        """
        values, out, shown = dict(person), "", [True]
        capture: tuple[str, str] | None = None
        for part in re.split(r"(\{%.*?%\})", text, flags=re.S):
            tag = part[2:-2].strip() if part.startswith("{%") else None
            word = tag.split()[0] if tag else ""
            if word == "if":
                shown.append(shown[-1] and self._holds(tag, values))
            elif word == "else":
                shown[-1] = shown[-2] and not shown[-1]
            elif word == "endif":
                shown.pop()
            elif not shown[-1]:
                continue
            elif tag is None:
                out += filled(part, values)
            elif word == "capture":
                capture, out = (tag.split()[1], out), ""
            elif word == "endcapture":
                name, before = capture
                values[name], out = out.strip(), before
            elif word == "connected_content":
                self._connect(tag, values)
            elif word.startswith("abort_message("):
                raise Aborted(tag)
            else:
                raise ValueError(f"Braze here does not know {part}")
        return out.strip()

    def _holds(self, tag: str, values: Mapping[str, Any]) -> bool:
        for condition in tag.removeprefix("if ").split(" or "):
            place, sign, wanted = condition.split()
            value = looked_up(place, values)
            same = value == (wanted.strip("'") if "'" in wanted else json.loads(wanted))
            if same == (sign == "=="):
                return True
        return False

    def _connect(self, tag: str, values: dict[str, Any]) -> None:
        address, *rest = re.split(r"\s+:", tag.removeprefix("connected_content "))
        settings = {name: value for name, _, value in (setting.partition(" ") for setting in rest)}
        assert set(settings) <= CONNECTED_SETTINGS
        assert address.startswith(ADDRESS)
        method = settings.get("method", "get").upper()
        headers = {"accept": "*/*", "content-type": settings.get("content_type", "application/json")}
        try:
            response = self._http.request(
                method,
                filled(address, values).removeprefix(ADDRESS),
                content=filled(settings["body"], values) if method == "POST" else None,
                headers=headers,
                auth=("braze", self._credentials[settings["basic_auth"]]),
                timeout=2.0,
            )
        except httpx.TransportError:
            values[settings["save"]] = None
            return
        content = response.json()
        assert isinstance(content, dict)  # else there would be no status in it
        values[settings["save"]] = _answer({**content, STATUS: response.status_code})
        self.answers.append(values[settings["save"]])


def _answer(content: Any) -> Any:
    if isinstance(content, dict):
        refuses = content.get("status") not in (None, "decided")
        return (dict if refuses else Answer)({name: _answer(value) for name, value in content.items()})
    return [_answer(item) for item in content] if isinstance(content, list) else content


def handlebars(text: str, values: Mapping[str, Any]) -> str:
    """A template of Iterable's.

    Raises
    ------
    Aborted
        By ``sendSkip``.
    """
    text = re.sub(
        r"\{\{#urlEncode\}\}(.*?)\{\{/urlEncode\}\}", lambda m: quote(filled(m[1], values), safe=""), text, flags=re.S
    )
    text = re.sub(
        r"\{\{#if ([\w.]+)\}\}(.*?)\{\{else\}\}(.*?)\{\{/if\}\}",
        lambda m: m[2] if looked_up(m[1], values) else m[3],
        text,
        flags=re.S,
    )
    if "{{sendSkip cause=" in text:
        raise Aborted(text)
    return filled(text, values).strip()


def as_answer(response: httpx.Response) -> Answer:
    """A response as a template sees it."""
    content = response.raise_for_status().json()
    assert isinstance(content, dict)
    return _answer(content)
