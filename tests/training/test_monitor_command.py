"""`propensity monitor` on a real ledger."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser

import pandas as pd
import pytest
from monitored_weeks import UNTIL, WEEK, weekly_waves
from prometheus_client.parser import text_string_to_metric_families

from propensity.ledger import Ledger
from propensity.model import DecisionModel
from propensity.monitoring.results import CHECKS
from propensity.simulation.followed import FollowedWave


@pytest.fixture(scope="session")
def waves(trained) -> dict[pd.Timestamp, FollowedWave]:
    return weekly_waves(trained.model, 5, 400, 400)


def record(url: str, model: DecisionModel, waves: dict[pd.Timestamp, FollowedWave], lost: tuple[str, ...] = ()) -> str:
    """A ledger of the waves, without these types of events in the last week."""
    ledger = Ledger(url).create()
    ledger.add_campaign(
        "weekly",
        title="Weekly",
        follows=None,
        currency="USD",
        window_days=90,
        reactivated_word="return",
        reactivated_words="returns",
        started_at=min(waves).to_pydatetime(),
        playbook=model.playbook.model_dump(mode="json"),
    )
    for at, wave in waves.items():
        ledger.add_decisions(wave.decisions, at, wave.probabilities, customers=wave.customers)
        told = wave.outcomes[wave.outcomes["at"] < UNTIL]
        ledger.add_outcomes(told[~(told["type"].isin(lost) & (told["at"] >= UNTIL - WEEK))])
    ledger.close()
    return url


@pytest.fixture(scope="session")
def program(trained, waves, tmp_path_factory) -> str:
    """A ledger of seven weeks in which nothing is wrong. Tests must not change it."""
    return record(f"sqlite:///{tmp_path_factory.mktemp('monitored') / 'ledger.db'}", trained.model, waves)


@pytest.fixture
def monitor(propensity, mlflow_of_trained, program, elsewhere):
    """Runs the command on the program's last week."""

    def run(*arguments: object, until: pd.Timestamp = UNTIL) -> tuple[int, str, str]:
        return propensity("monitor", "--ledger", program, "--until", until.isoformat(), *arguments)

    return run


def test_a_quiet_week_ends_with_0_and_every_file_says_the_same(monitor, elsewhere):
    code, said, _ = monitor("--json", "m.json", "--html", "m.html", "--prometheus", "m.prom")
    assert code == 0
    assert said.strip().splitlines()[-1].startswith("No alarm: ")
    found = json.loads((elsewhere / "m.json").read_text())
    assert [c["name"] for c in found["checks"]] == list(CHECKS)
    assert found["decisions"] == 400
    for check in found["checks"]:
        assert f"│ {check['name'].replace('_', ' ')} " in said
        assert " ".join(check["sentence"].split()[:6]) in said
    gauges = {f.name: f for f in text_string_to_metric_families((elsewhere / "m.prom").read_text())}
    raised = {s.labels["check"]: s.value for s in gauges["propensity_monitor_alarm"].samples}
    assert raised == {c["name"]: float(c["status"] == "alarm") for c in found["checks"]}
    sizes = {(s.labels["check"], s.labels["item"]): s.value for s in gauges["propensity_monitor_size"].samples}
    for check in found["checks"]:
        for item in check["findings"]:
            if item["status"] != "not enough data":
                assert sizes[check["name"], item["name"]] == pytest.approx(item["size"], rel=1e-6)


class Outside(HTMLParser):
    """Whatever a page would load."""

    def __init__(self):
        super().__init__()
        self.found, self.text = [], ""

    def handle_starttag(self, tag, attrs):
        inside = ("data:", "#")
        self.found += [v for name, v in attrs if name in ("src", "href", "srcset", "data") and not v.startswith(inside)]

    def handle_data(self, data):
        self.text += data


def test_the_page_carries_everything_and_no_person(monitor, elsewhere):
    monitor("--html", "m.html")
    page = Outside()
    page.feed((elsewhere / "m.html").read_text())
    assert page.found == []
    assert all(question in page.text for question in CHECKS.values())
    assert "width=device-width" in (elsewhere / "m.html").read_text()
    assert not re.search(r"s5w\d-", (elsewhere / "m.html").read_text())


@pytest.fixture
def dead_pixel(trained, waves, tmp_path) -> str:
    """The same but for the clicks of the last week."""
    return record(f"sqlite:///{tmp_path / 'dead.db'}", trained.model, waves, lost=("clicked",))


def test_an_alarm_ends_with_3_unless_told_otherwise(monitor, dead_pixel, elsewhere):
    code, said, error = monitor("--ledger", dead_pixel, "--json", "m.json", "--prometheus", "m.prom")
    assert (code, error) == (3, "")
    assert "missing outcomes" in said.strip().splitlines()[-1]
    assert "missing_outcomes" in json.loads((elsewhere / "m.json").read_text())["alarms"]
    assert 'check="missing_outcomes"} 1' in (elsewhere / "m.prom").read_text()
    assert monitor("--ledger", dead_pixel, "--fail-on", "none")[0] == 0


def test_a_model_in_a_directory_will_do(monitor, trained, elsewhere):
    trained.model.save(elsewhere / "model")
    code, said, _ = monitor("--model", "model", "--campaign", "weekly")
    assert code == 0
    assert "campaign weekly" in said


def test_decisions_of_which_nothing_was_reported_yet_are_no_failure(
    propensity, trained, waves, mlflow_of_trained, elsewhere
):
    every_kind = tuple({kind for wave in waves.values() for kind in wave.outcomes["type"]})
    first = {min(waves): waves[min(waves)]}
    url = record("sqlite:///silent.db", trained.model, first, lost=every_kind)
    until = min(waves) + pd.Timedelta(days=3)
    code, said, error = propensity("monitor", "--ledger", url, "--until", until.isoformat())
    assert (code, error) in ((0, ""), (3, "")), error
    assert "No kind of event has come yet." in " ".join(re.sub("[│┃]", " ", said).split())


def test_times_without_decisions_are_no_failure(monitor):
    code, said, _ = monitor("--since", "2030-01-01", until=pd.Timestamp("2030-02-01T00:00Z"))
    assert code == 0
    assert "Not enough data for any check." in said


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--campaign", "autumn"), "campaign autumn: is not in the ledger"),
        (("--since", "2027-01-01"), "expected a time before --until"),
        (("--since", "yesterday"), "--since yesterday: expected a time"),
        (("--alias", "7"), "has no version 7"),
    ],
)
def test_bad_input_ends_with_2(monitor, arguments, message):
    code, _, error = monitor(*arguments)
    assert code == 2
    assert message in error
