"""Mappings that cannot be are refused, with what is wrong."""

import re

import pytest
from wide_cases import changed

from propensity import playbook
from propensity.errors import InputError
from propensity.mapping import load_mapping

WRONG_MAPPINGS = [
    ({"customers": {"customer_id": "id"}}, r"customers: churned_at is missing"),
    ({"outcomes": []}, r"outcomes: .*at least 1 item"),
    ({"outcomes": [{"type": "baught", "flag": "f"}]}, r"outcomes\.0: type: expected one of sent, .*found 'baught'"),
    ({"outcomes": [{"type": "purchased"}]}, r"outcomes\.0: expected a flag or an amount"),
    ({"contacts": {"action": "arm", "probability": {}}}, r"contacts\.probability: expected one of each, by_action"),
    ({"contacts": {"action": "arm", "probability": {"each": 0}}}, r"probability\.each: expected greater than 0"),
    (
        {"contacts": {"action": {}, "probability": {"each": 1}}},
        r"contacts\.action: expected one of column, columns, constant",
    ),
    (
        {"features": {"x": {"column": "a", "days_before": "b"}}},
        r"features\.x: expected one of column, columns, constant",
    ),
    ({"titel": "T"}, r"titel: is not a setting that is known here \(misspelt\?\)"),
    ({"decided_at": "some day"}, r"decided_at: .*found 'some day'"),
]


@pytest.mark.parametrize(("parts", "message"), WRONG_MAPPINGS, ids=[m[:30] for _, m in WRONG_MAPPINGS])
def test_a_mapping_that_cannot_be_is_refused(parts, message):
    with pytest.raises(ValueError, match="validation error") as caught:
        changed(**parts)
    assert re.search(message, playbook.sentences(caught.value))


@pytest.mark.parametrize(
    ("content", "message"),
    [("name = ", "is not valid TOML"), ('name = "x"\ntitel = "T"', "title: is missing.*titel: is not a setting")],
)
def test_a_mapping_file_that_is_broken_is_named(tmp_path, content, message):
    file = tmp_path / "m.toml"
    file.write_text(content)
    with pytest.raises(InputError, match=rf"mapping {re.escape(str(file))}: .*{message}"):
        load_mapping(file)


def test_a_missing_mapping_names_those_that_there_are(tmp_path):
    with pytest.raises(
        InputError, match=r"cannot be read \(No such.*Name a TOML file or one of: charity, charity_ratios, hillstrom"
    ):
        load_mapping(tmp_path / "gone.toml")
