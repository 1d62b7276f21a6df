"""One request to the service, sent until it is answered.

Whatever the client asks for may be sent again: a decision for the same customer, campaign and window is the one that
stands; an event, a suppression or a snapshot that is there already changes nothing; a person can be forgotten twice. So
a request that got no answer, or was answered by a fault of the service, is repeated. One that was refused (4xx) is not,
as the same again would be refused again; except 429 with Retry-After, which asks for just that.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

import httpx

from propensity import __version__
from propensity.errors import InputError, JobError

FIRST_PAUSE_SECONDS = 0.1
LONGEST_PAUSE_SECONDS = 30.0
"""Whoever asks for a longer pause is asked again by somebody who can wait."""
SECONDS_AN_ITEM = 0.008
"""More than the service gives itself for each further customer, and less than its own limit for a thousand."""

# seeded by the system: clients that were turned away together must not come back together
_JITTER = random.Random()


class ServiceError(JobError):
    """The service refused, failed or did not answer.

    Attributes
    ----------
    status : int or None
        Of the answer; None where there was none.
    title, detail : str
        What was wrong, as the service tells it (``application/problem+json``).
    retry_after : float or None
        Seconds until it may be asked again, where it said so.
    request_id : str or None
        The service's id of the request, which stands in its log.
    """

    def __init__(
        self,
        status: int | None,
        title: str,
        detail: str,
        *,
        retry_after: float | None = None,
        request_id: str | None = None,
    ) -> None:
        super().__init__(f"{title}: {detail}" if status is None else f"{title} ({status}): {detail}")
        self.status, self.title, self.detail = status, title, detail
        self.retry_after, self.request_id = retry_after, request_id

    @property
    def is_unanswered(self) -> bool:
        """Whether nothing is wrong with what was asked: nobody answered, or nobody could just now."""
        return self.status is None or self.status >= 500 or self.status == HTTPStatus.TOO_MANY_REQUESTS


class Caller:
    """Sends requests to one service; threads may share it.

    Parameters
    ----------
    url : str
        Where the service is.
    key : str or None
    timeout : float
        Seconds that connecting, sending and waiting for the answer may each take.
    retries : int
        How often a request without an answer is repeated.
    transport : httpx.BaseTransport, optional
        In place of the network.

    Raises
    ------
    InputError
        The address or the key cannot be one.
    """

    def __init__(
        self, url: str, key: str | None, timeout: float, retries: int, transport: httpx.BaseTransport | None
    ) -> None:
        if not timeout > 0 or retries < 0:
            raise InputError(
                f"timeout {timeout}, retries {retries}: expected more than 0 seconds, and 0 retries or more"
            )
        self.url, self._timeout, self._retries = _checked_url(url), timeout, retries
        headers = {"user-agent": f"propensity-client/{__version__}", "accept": "application/json"}
        if key is not None:
            headers["authorization"] = f"Bearer {_checked_key(key)}"
        self._http = httpx.Client(base_url=self.url, headers=headers, transport=transport)

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def ask(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        content: object = None,
        media_type: str = "application/json",
        n_items: int = 1,
    ) -> Any:
        """The answer to a request, as JSON; None where it has no body.

        Parameters
        ----------
        method, path : str
        params : mapping, optional
            The query.
        content : object
            The body, to be sent as JSON.
        media_type : str
            Of the body.
        n_items : int
            How many people or events the request is about; many may take longer.

        Raises
        ------
        ServiceError
        InputError
            The body has something that JSON has not, or the query half a character.
        """
        body = None if content is None else _json(content)
        try:
            request = self._http.build_request(
                method,
                path,
                params=params,
                content=body,
                headers=None if body is None else {"content-type": media_type},
                timeout=self._timeout + SECONDS_AN_ITEM * (n_items - 1),
            )
        except UnicodeEncodeError as error:
            raise InputError(f"{', '.join(params or ())}: expected texts, found one with half a character") from error
        n_before = 0
        while True:
            try:
                return _content(self._once(request))
            except ServiceError as error:
                pause = None if n_before == self._retries else _pause(error, n_before)
                if pause is None:
                    raise
            time.sleep(pause)
            n_before += 1

    def _once(self, request: httpx.Request) -> httpx.Response:
        try:
            response = self._http.send(request)
        except httpx.RequestError as error:
            raise ServiceError(None, "No answer", f"{self.url} did not answer ({type(error).__name__})") from error
        if not response.is_success:
            raise _told(response)
        return response


def _checked_url(url: str) -> str:
    expected = "url: expected the service's address, such as https://propensity.example.com"
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and parts.hostname and not parts.query and not parts.fragment
        httpx.URL(url)
    except (httpx.InvalidURL, TypeError, ValueError, AttributeError) as error:
        raise InputError(expected) from error
    if parts.username is not None or parts.password is not None:
        raise InputError("url: holds a user or password; give the key as key= or in PROPENSITY_API_KEY")
    if not usable:
        raise InputError(expected)
    return url.rstrip("/")


def _checked_key(key: str) -> str:
    key = key.strip()
    if not key or not key.isascii() or not key.isprintable() or " " in key:
        raise InputError("key: expected one as `propensity keys create` prints it, found something else")
    return key


def _json(content: object) -> bytes:
    try:
        return json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise InputError(f"what is to be sent cannot be JSON ({error}); send texts, numbers and flags") from error


def _content(response: httpx.Response) -> Any:
    if not response.content:
        return None
    try:
        return response.json()
    except ValueError as error:
        raise not_understood(response.status_code) from error


def not_understood(status: int = HTTPStatus.OK) -> ServiceError:
    """The error of an answer that the service does not give."""
    return ServiceError(status, "Not understood", "the answer is not one of this service; check the url")


def _told(response: httpx.Response) -> ServiceError:
    """The error in an answer. Of what is no problem+json only the status is told, as anybody may have written it."""
    status = response.status_code
    title = httpx.codes.get_reason_phrase(status) or "Refused"
    detail = "the answer does not say why"
    if response.is_redirect:
        detail = "the service is elsewhere; give its own address as url"
    elif response.headers.get("content-type", "").startswith("application/problem+json"):
        try:
            problem = response.json()
            title, detail = str(problem["title"]), str(problem["detail"])
        except (ValueError, TypeError, KeyError):
            detail = "the answer says why in a form that cannot be read"
    return ServiceError(
        status,
        title,
        detail,
        retry_after=_retry_after(response.headers.get("retry-after")),
        request_id=response.headers.get("x-request-id"),
    )


def _retry_after(value: str | None) -> float | None:
    """Seconds to wait, which the header has as a number or as a date (RFC 9110); None where it has neither."""
    if value is None:
        return None
    if value.strip().isascii() and value.strip().isdigit():
        return float(value)
    try:
        due = parsedate_to_datetime(value)
    except ValueError:
        return None
    due = due if due.tzinfo else due.replace(tzinfo=UTC)
    return max(0.0, (due - datetime.now(UTC)).total_seconds())


def _pause(error: ServiceError, n_before: int) -> float | None:
    """Seconds until the next try; None where there is to be none."""
    refused = error.status is not None and error.status < 500
    if refused and (error.status != HTTPStatus.TOO_MANY_REQUESTS or error.retry_after is None):
        return None
    if (error.retry_after or 0.0) > LONGEST_PAUSE_SECONDS:
        return None
    own = FIRST_PAUSE_SECONDS * 2**n_before
    return (error.retry_after or own / 2) + _JITTER.uniform(0, own / 2)
