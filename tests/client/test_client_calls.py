"""How the client calls: again where that helps, no more often, and without telling its key."""

from __future__ import annotations

import json
import socket
import time
import traceback
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from served import Answer, served

from propensity.client import Client, Outcome, ServiceError
from propensity.client.calling import FIRST_PAUSE_SECONDS
from propensity.errors import InputError, JobError

KEY = "propensity_0123abcd_secretsecretsecretsecret"
PERSON = {"customer_id": "anna", "churned_at": "2025-12-15"}
DECIDED = {"status": "decided", "customer_id": "anna", "send": True, "action": "email", "decision_id": "d1"}
GOOD = Answer(content={"model_version": "m/1", "decisions": [DECIDED]})
PROBLEM = {"content-type": "application/problem+json"}


def problem(status: int, **headers: str) -> Answer:
    content = {"type": "about:blank", "status": status, "title": "Not now", "detail": "try later"}
    return Answer(status, content, {**PROBLEM, **headers})


def decide(url: str, **settings):
    with Client(url, key=KEY, **settings) as client:
        return client.decide(PERSON, campaign="spring")


def refused(url: str, **settings) -> ServiceError:
    with pytest.raises(ServiceError) as caught:
        decide(url, **settings)
    return caught.value


@pytest.fixture
def closed() -> str:
    """An address where nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{taken.getsockname()[1]}"


# --------------------------------------------------------------------------------------------------------- retries


@pytest.mark.parametrize("failure", [problem(500), problem(502), problem(503), problem(504), Answer(hangs_up=True)])
def test_after_two_failures_the_third_try_is_answered(failure):
    with served(failure, failure, GOOD) as (url, seen):
        assert decide(url).decision_id == "d1"
    assert len(seen.bodies) == 3
    assert len(set(seen.bodies)) == 1
    first, second = (later - earlier for earlier, later in zip(seen.times, seen.times[1:], strict=False))
    assert FIRST_PAUSE_SECONDS / 2 <= first < second + FIRST_PAUSE_SECONDS
    assert second >= FIRST_PAUSE_SECONDS


def test_pauses_vary():
    with served(problem(503), GOOD) as (url, seen):
        decide(url)
    pauses = [seen.times[1] - seen.times[0]]
    for _ in range(4):
        with served(problem(503), GOOD) as (url, seen):
            decide(url)
        pauses.append(seen.times[1] - seen.times[0])
    assert max(pauses) - min(pauses) > 0.002


def test_a_silent_server_is_left_after_the_timeout_and_asked_again():
    with served(Answer(seconds=1.0), GOOD) as (url, seen):
        began = time.monotonic()
        assert decide(url, timeout=0.2).send
        assert time.monotonic() - began < 0.9
    assert len(seen.times) == 2


@pytest.mark.parametrize("status", [400, 401, 403, 404, 408, 409, 413, 422, 429])
def test_what_is_refused_is_not_sent_again(status):
    with served(problem(status), GOOD) as (url, seen):
        error = refused(url)
    assert (error.status, error.title, error.detail) == (status, "Not now", "try later")
    assert len(seen.times) == 1


@pytest.mark.parametrize("status", [429, 503])
def test_the_pause_that_the_service_asks_for_is_kept(status):
    with served(problem(status, **{"retry-after": "1"}), GOOD) as (url, seen):
        assert decide(url).send
    assert 1.0 <= seen.times[1] - seen.times[0] < 1.5


def test_the_pause_may_be_a_date():
    due = format_datetime(datetime.now(UTC) + timedelta(seconds=2), usegmt=True)
    with served(problem(503, **{"retry-after": due}), GOOD) as (url, seen):
        assert decide(url).send
    assert 0.5 < seen.times[1] - seen.times[0] < 2.5


def test_a_pause_that_is_too_long_is_the_caller_s_to_wait():
    with served(problem(503, **{"retry-after": "31"}), GOOD) as (url, seen):
        error = refused(url)
    assert (error.status, error.retry_after) == (503, 31.0)
    assert len(seen.times) == 1


@pytest.mark.parametrize("value", ["soon", "-5", "", "1e9", "²"])
def test_a_pause_that_cannot_be_read_is_none(value):
    with served(problem(503, **{"retry-after": value.encode().decode("latin-1")}), GOOD) as (url, seen):
        assert decide(url).send
    assert seen.times[1] - seen.times[0] < 1


@pytest.mark.parametrize("retries", [0, 1, 3])
def test_it_is_tried_no_more_often_than_asked(retries):
    with served(problem(503)) as (url, seen):
        assert refused(url, retries=retries).status == 503
    assert len(seen.times) == 1 + retries


def test_reports_are_sent_again_with_the_same_ids():
    receipt = {"results": [{"source": "esp", "id": "1", "status": "accepted"}]}
    with served(problem(502), Answer(202, receipt)) as (url, seen), Client(url) as client:
        assert client.report([Outcome("sent", "anna", id="1", source="esp")]).accepted == 1
    assert seen.bodies[0] == seen.bodies[1]
    assert [event["id"] for event in json.loads(seen.bodies[0])] == ["1"]
    assert {h["content-type"] for h in seen.headers} == {"application/cloudevents-batch+json"}


def test_a_thousand_people_get_longer_than_one():
    rows = [{**PERSON, "customer_id": str(i)} for i in range(1_000)]
    answers = {"decisions": [{**DECIDED, "customer_id": row["customer_id"]} for row in rows]}
    with served(Answer(content=answers, seconds=0.5)) as (url, seen), Client(url, timeout=0.2, retries=0) as client:
        assert len(client.decide(rows, campaign="spring")) == 1_000
        with pytest.raises(ServiceError, match="did not answer"):
            client.decide(rows[0], campaign="spring")
    assert len(seen.times) == 2


# ------------------------------------------------------------------------------------------------------- no answer


def test_nobody_there_is_an_error_by_default(closed):
    error = refused(closed, retries=1)
    assert isinstance(error, JobError)
    assert (error.status, error.title, error.is_unanswered) == (None, "No answer", True)
    assert str(error) == f"No answer: {closed} did not answer (ConnectError)"


def test_nobody_there_is_nothing_to_send_where_that_is_asked_for(closed):
    with Client(closed, retries=0) as client:
        decision = client.decide(PERSON, campaign="spring", or_nothing=True)
        many = client.decide([PERSON, {**PERSON, "customer_id": 7}], campaign="spring", or_nothing=True)
        stored = client.decision("anna", campaign="spring", or_nothing=True)
    for nothing in (decision, *many, stored):
        assert (nothing.status, nothing.send, nothing.action) == ("unanswered", False, "control")
        assert (nothing.decision_id, nothing.assignment, nothing.campaign) == (None, None, "spring")
        assert "did not answer" in nothing.error
    assert [d.customer_id for d in many] == ["anna", "7"]


@pytest.mark.parametrize(("status", "nothing"), [(500, True), (503, True), (429, True), (401, False), (422, False)])
def test_nothing_stands_for_silence_and_never_for_a_refusal(status, nothing):
    with served(problem(status)) as (url, _), Client(url, retries=0) as client:
        if nothing:
            assert client.decide(PERSON, campaign="spring", or_nothing=True).send is False
        else:
            with pytest.raises(ServiceError):
                client.decide(PERSON, campaign="spring", or_nothing=True)


def test_of_several_parts_those_that_were_answered_stand():
    rows = [{**PERSON, "customer_id": str(i)} for i in range(1_001)]
    last = Answer(content={"decisions": [{**DECIDED, "customer_id": "1000"}]})
    with served(problem(503), last) as (url, _), Client(url, retries=0) as client:
        found = client.decide(rows, campaign="spring", or_nothing=True)
    assert [d.status for d in found] == ["unanswered"] * 1_000 + ["decided"]
    assert sum(d.send for d in found) == 1


# ---------------------------------------------------------------------------------------------- answers of others


@pytest.mark.parametrize(
    "content",
    [
        b"<html>welcome</html>",
        b"",
        b"[]",
        {"decisions": []},
        {"decisions": [DECIDED, DECIDED]},
        {"decisions": [None]},
        {"decisions": [{"send": True}]},
        {"decisions": [{**DECIDED, "expires_at": "soon"}]},
    ],
)
def test_an_answer_of_something_else_is_an_error_and_no_decision(content):
    with served(Answer(content=content)) as (url, _):
        error = refused(url)
    assert (error.status, error.title) == (200, "Not understood")


@pytest.mark.parametrize(
    "results", [[], [{"status": "accepted"}] * 2, [{"customer_id": "anna"}], [{"status": "accepted", "as_of": "soon"}]]
)
def test_a_receipt_of_something_else_is_an_error_too(results):
    with served(Answer(content={"results": results})) as (url, _), Client(url) as client:
        calls = (client.suppress, client.put_customers, client.report)
        for call, given in zip(calls, ("anna", PERSON, [Outcome("sent", "anna", id="1", source="esp")]), strict=True):
            with pytest.raises(ServiceError, match="Not understood"):
                call(given)


def test_who_is_not_plainly_suppressed_does_not_go_unnoticed():
    results = [{"customer_id": "anna", "status": "accepted"}, {"customer_id": "bert", "status": "later"}]
    said = "1 of 2 people were not suppressed; the first: the service says 'later'"
    with (
        served(Answer(content={"results": results})) as (url, _),
        Client(url) as client,
        pytest.raises(ServiceError, match=said),
    ):
        client.suppress(["anna", "bert"])


@pytest.mark.parametrize("send", ["true", 1, "yes", None, [True]])
def test_only_a_plain_yes_is_a_yes(send):
    with served(Answer(content={"decisions": [{**DECIDED, "send": send}]})) as (url, _):
        assert decide(url).send is False


def test_keys_that_are_new_in_an_answer_do_no_harm():
    with served(Answer(content={"decisions": [{**DECIDED, "mood": "sunny"}], "more": 1})) as (url, _):
        assert decide(url).send is True


def test_a_redirect_is_not_followed_with_the_key():
    with served(GOOD) as (other, seen_there), served(Answer(307, b"", {"location": other})) as (url, _):
        error = refused(url)
    assert (error.status, error.detail) == (307, "the service is elsewhere; give its own address as url")
    assert seen_there.times == []


@pytest.mark.parametrize("content", [b"secret page", b"{}", b'{"title": 1'])
def test_of_an_error_in_another_form_only_the_status_is_told(content):
    headers = PROBLEM if content.startswith(b"{") else {"content-type": "text/html"}
    with served(Answer(418, content, headers)) as (url, _):
        error = refused(url)
    assert error.status == 418
    assert "secret" not in str(error)


# ---------------------------------------------------------------------------------------------------- key, address


def test_the_key_is_sent_and_never_shown(closed):
    with served(GOOD) as (url, seen):
        decide(url)
    assert seen.headers[0]["authorization"] == f"Bearer {KEY}"
    client = Client(closed, key=KEY, retries=0)
    assert repr(client) == f"Client('{closed}')"
    with pytest.raises(ServiceError) as caught:
        client.models()
    told = "".join(traceback.format_exception(caught.value)) + repr(caught.value) + repr(vars(client))
    assert KEY not in told
    assert "secret" not in told


@pytest.mark.parametrize("key", ["", " ", "two words", "schlüssel", "a\r\nx-evil: 1", "a\0"])
def test_what_cannot_be_a_key_is_refused_unseen(key):
    with pytest.raises(InputError, match="key: expected one as") as caught:
        Client("http://127.0.0.1", key=key)
    assert not key.strip() or key not in str(caught.value)


@pytest.mark.parametrize(
    "url", ["", "propensity.example.com", "ftp://example.com", "http://", "http://[", "http://x/?key=1", None, 5]
)
def test_what_is_no_address_is_refused(url):
    with pytest.raises(InputError, match="url: expected"):
        Client(url)


def test_a_password_in_the_address_is_refused_unseen():
    with pytest.raises(InputError, match="give the key as key=") as caught:
        Client("https://me:hidden@example.com")
    assert "hidden" not in str(caught.value)


@pytest.mark.parametrize("settings", [{"timeout": 0}, {"timeout": float("nan")}, {"timeout": -1}, {"retries": -1}])
def test_what_is_no_time_or_number_is_refused(settings):
    with pytest.raises(InputError, match="expected more than 0 seconds"):
        Client("http://127.0.0.1", **settings)


def test_an_address_with_a_path_is_kept():
    with served(GOOD) as (url, seen):
        decide(f"{url}/propensity/")
    assert seen.lines == ["POST /propensity/v1/decisions HTTP/1.1"]
