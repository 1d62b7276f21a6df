"""`propensity playbook`: what it says of sound and unsound playbooks, whom it counts, and what it records."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pandas as pd
import pytest
from changed_files import change

from propensity import playbook
from propensity.ledger import Ledger, playbook_approvals
from propensity.playbook.cautions import cautions
from propensity.policy import eligibility, rule_action

pytestmark = pytest.mark.usefixtures("elsewhere")
TOML = playbook.shipped()["hillstrom"].read_text(encoding="utf-8")
LEDGER = "sqlite:///ledger.db"


@pytest.fixture
def file(tmp_path) -> Path:
    """A playbook of one's own."""
    place = tmp_path / "mine.toml"
    place.write_text(TOML.replace('name = "hillstrom"', 'name = "mine"'), encoding="utf-8")
    return place


@pytest.fixture
def ledger(elsewhere) -> str:
    Ledger(LEDGER).create().close()
    return LEDGER


def approvals() -> list[dict]:
    opened = Ledger(LEDGER).open()
    rows = playbook_approvals(opened)
    opened.close()
    return rows


# ---------------------------------------------------------------------------------------------------------- check


def test_a_sound_playbook_is_one_line_and_its_cautions(propensity, file):
    code, out, error = propensity("playbook", "check", file)
    assert (code, error) == (0, "")
    first, *rest = out.splitlines()
    assert first == (
        f"Playbook mine, version {playbook.load(file).version}: 2 actions, 1 archetype, 1 channel, 2 offers, "
        "0 changes, 0 seasons. No mistake was found."
    )
    assert rest == [f"Caution: {caution}." for caution in cautions(playbook.load(file))]


@pytest.mark.parametrize("name", sorted(playbook.shipped()))
def test_shipped_playbooks_are_sound(propensity, name):
    code, out, error = propensity("playbook", "check", name)
    assert (code, error) == (0, "")
    assert out.startswith(f"Playbook {name}, version {playbook.load(name).version}: ")


def test_every_mistake_has_its_line_and_they_come_in_that_order(propensity, file):
    change(file, "cost_currency = 0.02", "cost_currency = -0.02")
    change(file, "horizon_days = 548", 'horizon_days = "long"')
    change(file, "margin_share = 0.5", "margn_share = 0.5")
    lines = file.read_text().splitlines()
    code, out, error = propensity("playbook", "check", file)
    assert (code, out) == (2, "")
    told = [re.fullmatch(re.escape(str(file)) + r":(\d+): (.*)", line).groups() for line in error.splitlines()]
    assert [lines[int(number) - 1].split(" #")[0].strip() for number, _ in told] == [
        'horizon_days = "long"',
        "margn_share = 0.5",
        "cost_currency = -0.02",
    ]
    assert [what.split(":")[0] for _, what in told] == [
        "program.horizon_days",
        "value.margn_share",
        "channels.email.cost_currency",
    ]


def test_what_parts_say_of_each_other_is_told_at_once_too(propensity, file):
    change(file, 'offer = "mens_merchandise"', 'offer = "mens"')
    change(file, 'answers = ["disengaged"]', 'answers = ["disengaged", "bored"]')
    _, _, error = propensity("playbook", "check", file)
    assert [re.sub(r".*:(\d+): .*", r"\1", line) for line in error.splitlines()] == [
        str(1 + [line.startswith(start) for line in file.read_text().splitlines()].index(True))
        for start in ("answers", 'offer = "mens"')
    ]


def test_broken_toml_has_its_line(propensity, file):
    change(file, 'currency = "USD"', "currency = USD")
    code, _, error = propensity("playbook", "check", file)
    (line,) = error.splitlines()
    assert code == 2
    assert line.startswith(f"{file}:4: is not valid TOML")


@pytest.mark.parametrize("name", ["gone.toml", "."])
def test_what_cannot_be_read_is_named_once(propensity, name):
    code, out, error = propensity("playbook", "check", name)
    (line,) = error.splitlines()
    assert (code, out) == (2, "")
    assert line.startswith(f"{name}: cannot be read")
    assert "default, hillstrom" in line


# ------------------------------------------------------------------------------------------------------- cautions


def with_changes(name: str = "hillstrom", **changes: object) -> playbook.Playbook:
    """A shipped playbook with some of its settings replaced, by their path in words: ``channels__email__note``."""
    content = playbook.load(name).model_dump()
    for path, value in changes.items():
        *parts, last = path.split("__")
        place = content
        for part in parts:
            place = place[part]
        place[last] = value
    return playbook.Playbook.model_validate(content)


def test_what_few_people_can_get_is_told_with_the_column_that_says_so():
    told = cautions(playbook.load("default"))
    assert [c for c in told if "need consent" in c] == [
        "20 of 26 actions need consent; they reach only people for whom the customers table says yes in "
        "consent_direct_mail, consent_direct_outreach, consent_email, consent_push, consent_retargeting_ad, consent_sms"
    ]
    assert [c.split(";")[0] for c in told if "account_access" in c] == ["6 of 26 actions need access to the account"]
    free = with_changes(channels__email__needs_consent=False)
    assert not [c for c in cautions(free) if "says yes in" in c]


@pytest.mark.parametrize(("part", "held"), [("offer", "offers"), ("channel", "channels"), ("archetype", "archetypes")])
def test_a_part_that_no_action_uses_is_told(part, held):
    book = playbook.load("hillstrom")
    spare = {
        **next(iter(getattr(book, held).values())).model_dump(),
        **({"answers": []} if held == "archetypes" else {}),
    }
    told = cautions(with_changes(**{f"{held}__spare": spare}))
    assert f"{part} spare: no action uses it" in told
    assert not [c for c in cautions(book) if "no action uses it" in c]


def test_an_archetype_is_told_unless_a_reason_or_a_rule_leads_to_it():
    caution = "archetype we_miss_you: no reason for churn leads to it, so nobody gets it by rule"
    assert caution not in cautions(playbook.load("hillstrom"))
    assert caution in cautions(with_changes(archetypes__we_miss_you__answers=[]))
    by_rule = [{"archetype": "we_miss_you", "reasons": ["price"]}]
    assert caution not in cautions(with_changes(archetypes__we_miss_you__answers=[], archetype_rules=by_rule))


def unanswered(book: playbook.Playbook) -> set[str]:
    found = [re.match("no archetype answers (.*);", c) for c in cautions(book)]
    return {reason for match in found if match for reason in match[1].split(", ")}


def test_a_reason_is_told_unless_an_archetype_or_a_rule_answers_it():
    book = playbook.load("hillstrom")
    others = {"price", "product_gap", "competitive_switch", "internal_change", "no_longer_needed"}
    others |= {"service_problem", "fit_problem"}
    assert unanswered(book) == others
    assert unanswered(playbook.load("default")) == set()
    rule = {"archetype": "we_miss_you", "reasons": ["price"]}
    assert unanswered(with_changes(archetype_rules=[rule])) == others - {"price"}
    assert unanswered(with_changes(archetype_rules=[{"archetype": "we_miss_you", "competitor": True}])) == set()


# ----------------------------------------------------------------------------------------------------------- show


@pytest.fixture
def program(small_dataset, elsewhere) -> Path:
    """The small program as a directory of tables; everybody has an older row, in which they agreed to nothing."""
    directory = elsewhere / "program"
    directory.mkdir()
    customers = small_dataset.customers
    older = customers.assign(as_of=customers["as_of"] - pd.Timedelta(days=1), consent_email=False)
    pd.concat([customers, older]).to_parquet(directory / "customers.parquet")
    small_dataset.contacts.to_parquet(directory / "contacts.parquet")
    small_dataset.outcomes.to_parquet(directory / "outcomes.parquet")
    return directory


@pytest.fixture
def small_file(email_playbook, elsewhere) -> Path:
    """The small program's playbook as TOML: JSON's inline values are TOML's, but for what is missing."""

    def value(content: object) -> str:
        if isinstance(content, dict):
            return "{" + ", ".join(f"{k} = {value(v)}" for k, v in content.items() if v is not None) + "}"
        if isinstance(content, list):
            return "[" + ", ".join(map(value, content)) + "]"
        return json.dumps(content)

    place = elsewhere / "small.toml"
    content = email_playbook.model_dump(mode="json", exclude_defaults=True)
    place.write_text("\n".join(f"{k} = {value(v)}" for k, v in content.items() if v is not None))
    assert playbook.load(place).version == email_playbook.version
    return place


def shown(propensity, *arguments: object) -> tuple[str, dict]:
    code, out, error = propensity("playbook", "show", *arguments, "--json", "shown.json")
    assert (code, error) == (0, "")
    return out, json.loads(Path("shown.json").read_text())


def test_without_data_every_action_is_shown_with_its_costs(propensity):
    out, content = shown(propensity, "default")
    book = playbook.load("default")
    for label, action in book.actions.items():
        (line,) = [line for line in out.splitlines() if re.search(rf"\b{label}\b", line)]
        costs = [book.channels[action.channel].cost_currency, book.offers[action.offer].cost_if_redeemed_currency]
        cells = [cell.strip() for cell in line.strip("│").split("│")]
        assert cells[1:3] == [name.replace("_", " ") for name in (action.channel, action.offer)]
        assert [float(cell) for cell in cells[3:]] == costs
        headings = [h for h in out[: out.index(line)].splitlines() if re.fullmatch(r"│ [a-z ]+ (│ +)+│", h)]
        assert headings[-1].strip("│ ").strip() == action.archetype.replace("_", " ")
    assert (content["playbook_version"], content["counted"]) == (book.version, None)
    assert {a["action"] for cell in content["cells"] for a in cell["actions"]} == set(book.actions)
    assert all(cell["eligible"] is None for cell in content["cells"])


def test_the_default_playbook_is_shown_where_none_is_named(propensity):
    assert shown(propensity)[1]["playbook"] == "default"


def test_with_data_everybody_is_counted_once_by_their_newest_row(
    propensity, program, small_file, small_dataset, email_playbook
):
    out, content = shown(propensity, small_file, "--data", program)
    people, at = small_dataset.customers, small_dataset.customers["as_of"].max()
    allowed = eligibility(people, email_playbook, at).allowed
    rule = rule_action(people, email_playbook, allowed)
    counted = content["counted"]
    assert (counted["people"], pd.Timestamp(counted["at"])) == (len(people), at)
    assert counted["eligible"] == allowed.any(axis=1).sum() > 0
    assert sum(counted["stopped_by"].values()) == len(people) - counted["eligible"]
    for action in (a for cell in content["cells"] for a in cell["actions"]):
        assert action["eligible"] == allowed[action["action"]].sum()
        assert action["by_rule"] == (rule == action["action"]).sum()
        assert re.search(rf"\b{action['action']}\b.* {action['eligible']:,} │ +{action['by_rule']:,} │", out)
    assert f"{counted['eligible']:,} of {counted['people']:,} people may get something" in out


def test_who_opted_out_by_then_is_not_counted(propensity, program, small_file, small_dataset):
    opted_out = small_dataset.outcomes.query("type in ('unsubscribed', 'complained')")
    assert len(opted_out)
    end = small_dataset.outcomes["at"].max()
    stopped = shown(propensity, small_file, "--data", program, "--at", end.isoformat())[1]["counted"]["stopped_by"]
    assert stopped["suppressed"] == opted_out["customer_id"].nunique()
    before = opted_out["at"].sort_values().iloc[len(opted_out) // 2]
    some = shown(propensity, small_file, "--data", program, "--at", before.isoformat())[1]["counted"]["stopped_by"]
    assert (
        some["suppressed"] == opted_out.loc[opted_out["at"] <= before, "customer_id"].nunique() < stopped["suppressed"]
    )


def test_a_date_is_the_start_of_its_day_in_utc(propensity, program, small_file):
    one = shown(propensity, small_file, "--data", program, "--at", "2026-06-01")[1]
    assert pd.Timestamp(one["counted"]["at"]) == pd.Timestamp("2026-06-01T00:00Z")
    assert one == shown(propensity, small_file, "--data", program, "--at", "2026-06-01T02:00+02:00")[1]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["gone.toml"], "playbook gone.toml: cannot be read"),
        (["default", "--at", "2026-01-01"], "name the data"),
        (["default", "--mapping", "hillstrom"], "name the data"),
        (["SMALL", "--data", "PROGRAM", "--at", "soon"], "--at soon: expected a time such as 2026-01-31"),
        (["SMALL", "--data", "PROGRAM", "--at", "1999-01-01"], "--at 1999-01-01: nobody is known at that time"),
        (["default", "--data", "nowhere"], "data nowhere: no such file or directory"),
    ],
)
def test_what_cannot_be_shown_is_one_sentence(propensity, program, small_file, arguments, sentence):
    names = {"SMALL": str(small_file), "PROGRAM": str(program)}
    code, out, error = propensity("playbook", "show", *(names.get(a, a) for a in arguments), "--json", "shown.json")
    assert (code, out, len(error.splitlines())) == (2, "", 1)
    assert sentence in error
    assert not Path("shown.json").exists()


# --------------------------------------------------------------------------------------------- approve, approvals


def test_who_approves_what_on_what_is_recorded_and_listed(propensity, ledger, file, elsewhere):
    version = playbook.load(file).version
    what_if = {"scenarios": [{"playbook_version": "another"}, {"playbook_version": version, "people": 12}]}
    (elsewhere / "what-if.json").write_text(json.dumps(what_if))
    approve = ["playbook", "approve", file, "--ledger", ledger]
    code, out, error = propensity(*approve, "--who", "Ann", "--what-if", "what-if.json", "--why", "it [/pays] :tada:")
    assert (code, error) == (0, "")
    assert out == (
        f"Ann approved playbook mine, version {version}, on the what-if what-if.json; recorded in sqlite:///ledger.db.\n"
    )
    assert propensity(*approve, "--who", "Bert")[0] == 0
    assert [(r["who"], r["version"], r["what_if"], r["why"]) for r in approvals()] == [
        ("Ann", version, what_if, "it [/pays] :tada:"),
        ("Bert", version, None, None),
    ]
    code, out, error = propensity("playbook", "approvals", "--ledger", ledger)
    assert (code, error) == (0, "")
    first, second = [line for line in out.splitlines() if version in line]
    assert all(word in first for word in ("mine", "Ann", "recorded", "it [/pays] :tada:"))
    assert all(word in second for word in ("mine", "Bert", "none"))


def test_a_ledger_without_approvals_says_so(propensity, ledger):
    code, out, _ = propensity("playbook", "approvals", "--ledger", ledger)
    assert (code, out) == (0, "The ledger sqlite:///ledger.db holds no approval of a playbook yet.\n")


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (
            '{"scenarios": [{"playbook_version": "0123456789ab"}]}',
            "expected a scenario of playbook_version 'VERSION', .* found '0123456789ab'",
        ),
        ("{}", "expected a scenario of playbook_version 'VERSION', .* found none"),
        ('["VERSION"]', "what-if what-if.json: expected a JSON object, found "),
        ("playbook_version = 1", "what-if what-if.json: is not valid JSON"),
        ("", "what-if what-if.json: is not valid JSON"),
        ('{"playbook_version": "VERSION", "value": NaN}', "is not valid JSON .NaN"),
        ("[" * 100_000, "what-if what-if.json: is not valid JSON"),
        (b"\xff\xfe", "what-if what-if.json: is not valid JSON"),
        (None, "what-if what-if.json: cannot be read .No such file"),
    ],
    ids=["other", "no_version", "list", "toml", "empty", "nan", "deep", "not_utf8", "missing"],
)
def test_a_what_if_that_is_none_or_is_of_another_playbook_is_refused(
    propensity, ledger, file, elsewhere, content, sentence
):
    version = playbook.load(file).version
    if content is not None:
        text = content if isinstance(content, bytes) else content.replace("VERSION", version).encode()
        (elsewhere / "what-if.json").write_bytes(text)
    code, out, error = propensity(
        "playbook", "approve", file, "--who", "Ann", "--ledger", ledger, "--what-if", "what-if.json"
    )
    assert (code, out, len(error.splitlines())) == (2, "", 1)
    assert re.search(sentence.replace("VERSION", version), error)
    assert approvals() == []


def test_what_is_unsound_or_has_no_name_cannot_be_approved(propensity, ledger, file):
    code, _, error = propensity("playbook", "approve", file, "--who", " ", "--ledger", ledger)
    assert (code, error) == (2, "Error: who: expected the name of the person who approves, found a blank\n")
    change(file, "cost_currency = 0.02", "cost_currency = -0.02")
    code, _, error = propensity("playbook", "approve", file, "--who", "Ann", "--ledger", ledger)
    assert (code, len(error.splitlines())) == (2, 1)
    assert "channels.email.cost_currency" in error
    assert approvals() == []


def test_without_a_ledger_nothing_is_approved_and_none_is_made(propensity, elsewhere):
    for arguments in (["approve", "hillstrom", "--who", "Ann"], ["approvals"]):
        code, out, error = propensity("playbook", *arguments)
        assert (code, out) == (2, "")
        assert error.endswith("does not exist; make it with: propensity ledger init sqlite:///ledger.db\n")
    assert list(elsewhere.iterdir()) == []
