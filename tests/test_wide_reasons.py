"""A mapping's table of reasons turns a company's own labels into reasons for churn."""

import pytest
from wide_cases import CONTENT, wide

from propensity import datasets
from propensity.errors import InputError
from propensity.mapping import Mapping
from propensity.wide import read_wide


@pytest.fixture
def read(tmp_path):
    """Writes a frame as a file and reads it through a mapping."""

    def write_and_read(frame, mapping, quarantine=False):
        frame.to_csv(tmp_path / "people.csv", index=False)
        return read_wide(tmp_path / "people.csv", mapping, "a test", quarantine=quarantine)

    return write_and_read


REASONS_TABLE = """
name = "mine"
[labels]
"Too dear" = "price"
"Who knows" = "unknown"
"Died" = "excluded"
"""


@pytest.fixture
def with_reasons(tmp_path):
    """The mapping with a table of reasons beside the column ``why``."""
    file = tmp_path / "reasons.toml"
    file.write_text(REASONS_TABLE, encoding="utf-8")
    customers = {**CONTENT["customers"], "reason": {"column": "why", "reasons": str(file)}, "exit_answer": "words"}
    return Mapping.model_validate({**CONTENT, "customers": customers})


WHY = ["Too dear", "Died", None, " Too dear ", "Who knows", "Too dear"]


def test_labels_become_reasons_and_the_excluded_are_in_no_table(read, with_reasons):
    dataset = read(wide(why=WHY, words="it was dear"), with_reasons)
    assert dataset.customers["customer_id"].tolist() == ["p0", "p2", "p3", "p4", "p5"]
    assert dataset.customers["reason"].fillna("").tolist() == ["price", "", "price", "", "price"]
    assert set(dataset.customers["exit_answer"]) == {"it was dear"}
    # the second person visited
    assert "p1" not in {*dataset.contacts["customer_id"], *dataset.outcomes["customer_id"]}
    assert dataset.n_excluded == 1
    assert "1 excluded by the table of reasons" in datasets.description(dataset)
    assert dataset.quarantined.empty


def test_an_unknown_label_is_refused_by_its_name_or_set_aside(read, with_reasons):
    strange = wide(why=["Aliens", *WHY[1:]], words="")
    with pytest.raises(
        InputError, match=r"reasons mine: .*lacks 'Aliens' \(1 row\).*one of price, .*unknown, excluded"
    ):
        read(strange, with_reasons)
    dataset = read(strange, with_reasons, quarantine=True)
    assert dataset.quarantined["why"].tolist() == ["Aliens"]
    assert dataset.customers["customer_id"].tolist() == ["p2", "p3", "p4", "p5"]


@pytest.mark.parametrize(
    ("name", "source", "said"),
    [
        (
            "relationship",
            {"column": "why", "reasons": "telco"},
            "relationship: reasons are for the column reason alone",
        ),
        ("reason", {"constant": "price", "reasons": "telco"}, "reasons: expected beside a column"),
        ("reason", {"column": "why", "reasons": "telco", "labels": {"a": "price"}}, "reasons: .*without labels"),
    ],
)
def test_a_table_of_reasons_stands_beside_the_reason(name, source, said):
    with pytest.raises(ValueError, match=said):
        Mapping.model_validate({**CONTENT, "customers": {**CONTENT["customers"], name: source}})
