"""The command line as a user meets it: quick help, and one sentence for whatever is wrong."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from changed_files import change

from propensity import cli

pytestmark = pytest.mark.usefixtures("elsewhere")
HEADER = "recency,history,mens,womens,zip_code,newbie,channel,segment,visit,conversion,spend"
ROWS = [
    f"{1 + i % 12},{30 + i}.5,{i % 2},{(i + 1) % 2},Urban,0,Web,{arm},{i % 3 == 0:d},0,0"
    for i, arm in enumerate(["No E-Mail", "Mens E-Mail", "Womens E-Mail"] * 4)
]


@pytest.fixture
def file(tmp_path) -> Path:
    """A sound file in the form of Hillstrom's."""
    place = tmp_path / "people.csv"
    place.write_text("\n".join([HEADER, *ROWS]) + "\n")
    return place


def test_help_lists_the_commands_in_half_a_second():
    took, said = [], ""
    for _ in range(3):
        start = sum(os.times()[2:4])
        said = subprocess.run(
            [sys.executable, "-m", "propensity", "--help"], capture_output=True, text=True, check=True
        ).stdout
        # of the processor: on a busy machine the clock tells of others
        took.append(sum(os.times()[2:4]) - start)
    for command in ("run", "train", "models", "serve", "simulate", "data", "ledger", "playbook", "experiment"):
        assert f" {command} " in said
    assert statistics.median(took) < 0.5


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ("segment", "segmnet", ["'segment'", "'segmnet'"]),
        ("history,", "historic_spend,", ["'history'"]),
        ("Mens E-Mail", "Postcard", ["contacts", "Postcard", "mens_email"]),
        ("30.5", "plenty", ["'plenty'", "number"]),
        (",1,0,0", ",2,0,0", ["visit", "0 or 1"]),
    ],
    ids=["misspelt_column", "other_column", "unknown_arm", "text_in_a_number", "flag_of_two"],
)
def test_a_fault_in_the_file_is_one_sentence_and_writes_nothing(propensity, elsewhere, file, old, new, named):
    change(file, old, new)
    code, _, error = propensity("run", "--data", file, "--mapping", "hillstrom", "--out", "runs")
    assert code == 2
    (line,) = error.splitlines()
    assert line.startswith("Error: ")
    for name in named:
        assert name in line
    assert list(elsewhere.iterdir()) == []


def test_a_probability_of_zero_is_refused(propensity, elsewhere, file, tmp_path):
    mapping = (Path(cli.__file__).parents[2] / "data/mappings/hillstrom.toml").read_text()
    by_column = tmp_path / "mapping.toml"
    by_column.write_text(mapping.replace("{ each = 0.3333333333333333 }", '{ column = "newbie" }'))
    code, _, error = propensity("run", "--data", file, "--mapping", by_column)
    assert (code, len(error.splitlines())) == (2, 1)
    assert "probability" in error
    assert "more than 0" in error
    assert list(elsewhere.iterdir()) == []


@pytest.mark.parametrize("arm", ["No E-Mail", "Mens E-Mail"])
def test_one_arm_only_is_refused(propensity, elsewhere, file, arm):
    text = file.read_text()
    for other in ("Womens E-Mail", "Mens E-Mail", "No E-Mail"):
        text = text.replace(f",{other},", f",{arm},")
    file.write_text(text)
    code, _, error = propensity("run", "--data", file, "--mapping", "hillstrom")
    assert (code, len(error.splitlines())) == (2, 1)
    assert "no effect of contact can be measured" in error
    assert list(elsewhere.iterdir()) == []


@pytest.mark.parametrize("content", ["", HEADER + "\n", "\n\n"], ids=["nothing", "header", "blank"])
def test_an_empty_file_is_refused(propensity, elsewhere, file, content):
    file.write_text(content)
    code, _, error = propensity("run", "--data", file, "--mapping", "hillstrom")
    assert (code, len(error.splitlines())) == (2, 1)
    assert "at least one row" in error
    assert list(elsewhere.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--data", "nowhere"], "data nowhere: no such file or directory"),
        (["--data", "FILE"], "a single file needs --mapping FILE"),
        (["--data", "FILE", "--mapping", "no.toml"], "mapping no.toml: cannot be read"),
        (["--data", "FILE", "--mapping", "FILE"], "is not valid TOML"),
        (["--data", "FILE", "--mapping", "hillstrom", "--playbook", "no.toml"], "playbook no.toml: cannot be read"),
        (["--data", "FILE", "--mapping", "hillstrom", "--playbook", "FILE"], "is not valid TOML"),
        (["--data", "DIRECTORY"], "has no customers.parquet"),
    ],
)
def test_what_cannot_be_read_is_named_with_what_to_do(propensity, elsewhere, file, options, sentence):
    names = {"FILE": str(file), "DIRECTORY": str(elsewhere)}
    code, _, error = propensity("run", *(names.get(o, o) for o in options))
    assert (code, len(error.splitlines())) == (2, 1)
    assert sentence in error
    assert list(elsewhere.iterdir()) == []


@pytest.mark.parametrize(
    "arguments",
    [
        ["ledger", "export", "out"],
        ["ledger", "erase", "anna", "--ledger", "nonsense"],
        ["experiment", "summary", "spring"],
        ["experiment", "list", "--ledger", "sqlite:///no.db"],
        ["simulate", "out", "--playbook", "no.toml"],
        ["simulate", "out", "--customers", "100", "--playbook", "hillstrom"],
    ],
)
def test_other_commands_refuse_in_one_sentence_and_write_nothing(propensity, elsewhere, arguments):
    code, out, error = propensity(*arguments)
    assert (code, out, len(error.splitlines())) == (2, "", 1)
    assert list(elsewhere.iterdir()) == []


@pytest.mark.parametrize("out", ["taken", "taken/deeper"])
def test_a_place_that_cannot_be_written_is_named(propensity, elsewhere, file, out):
    (elsewhere / "taken").write_text("a file")
    code, _, error = propensity("run", "--data", file, "--mapping", "hillstrom", "--out", out)
    assert (code, len(error.splitlines())) == (2, 1)
    assert "taken" in error
    assert "--out" in error


def test_debug_shows_the_traceback(propensity):
    code, _, error = propensity("--debug", "run", "--data", "nowhere")
    assert code == 2
    assert error.startswith("Traceback")
    assert error.splitlines()[-1].startswith("Error: data nowhere")


def test_a_failed_job_is_exit_one(propensity):
    code, _, error = propensity("experiment", "list", "--ledger", "postgresql+psycopg://a:secret@127.0.0.1:1/x")
    assert (code, len(error.splitlines())) == (1, 1)
    assert "cannot be opened" in error
    assert "secret" not in error


def test_commands_that_follow_one_another_in_a_process_are_added_once(propensity):
    for _ in range(2):
        assert propensity("data", "dictionary")[0] == 0
    names = [command.callback.__qualname__ for command in cli.app.registered_commands if command.callback]
    assert {"run", "train", "serve"} <= set(names)
    groups = [group.name for group in cli.app.registered_groups]
    assert {"data", "ledger", "experiment"} <= set(groups)
    for added in (names, groups):
        assert sorted(set(added)) == sorted(added)


def test_a_fault_of_ours_is_exit_one_and_says_how_to_see_more(propensity, monkeypatch):
    def fail(*_, **__):
        raise ZeroDivisionError("oops\nand more")

    monkeypatch.setattr("propensity.datasets.load", fail)
    code, _, error = propensity("data", "check", "--data", "hillstrom")
    assert (code, error) == (1, "Error: ZeroDivisionError: oops and more (run again with --debug for details)\n")


def test_a_sound_file_passes(propensity, file):
    code, out, error = propensity("data", "check", "--data", file, "--mapping", "hillstrom")
    assert (code, error) == (0, "")
    assert "12 customers; 8 were contacted, 4 were not" in out


def test_the_ledger_is_made_exported_and_forgets(propensity, elsewhere):
    assert propensity("ledger", "init")[0] == 0
    assert propensity("ledger", "erase", "anna")[1].startswith("Nothing was held on anna")
    assert propensity("ledger", "export", "out")[0] == 0
    assert len(pd.read_parquet(elsewhere / "out" / "tombstones.parquet")) == 1


def test_simulate_without_a_command_writes_tables_wherever_the_directory_stands(propensity, elsewhere):
    for arguments in (["a", "--customers", "100"], ["--customers", "100", "b"], ["tables", "c", "--customers", "100"]):
        assert propensity("simulate", *arguments)[0] == 0
    written = [(elsewhere / name / "customers.parquet").read_bytes() for name in "abc"]
    assert written[0] == written[1] == written[2]
    code, out, _ = propensity("simulate", "--help")
    assert (code, "program" in out, "tables" in out) == (0, True, True)


def test_a_simulated_program_is_written_once(propensity, elsewhere):
    code, out, _ = propensity("simulate", "./program", "--customers", "200")
    assert code == 0
    assert "Wrote 200 customers" in out
    before = {f: f.read_bytes() for f in elsewhere.rglob("*.parquet")}
    code, _, error = propensity("simulate", "./program", "--customers", "300")
    assert (code, len(error.splitlines())) == (2, 1)
    assert {f: f.read_bytes() for f in elsewhere.rglob("*.parquet")} == before
    assert propensity("data", "check", "--data", "program")[0] == 0


def test_algebra_gets_one_thread_before_numpy_is_there():
    code = (
        "import os, sys; from propensity import cli; assert 'numpy' not in sys.modules\n"
        "sys.argv = ['propensity', '--help']\n"
        "try: cli.main()\n"
        "except SystemExit: print('threads', os.environ['OPENBLAS_NUM_THREADS'])"
    )
    environment = {k: v for k, v in os.environ.items() if k != "OPENBLAS_NUM_THREADS"}
    for named, expected in ((None, "1"), ("3", "3")):
        asked = environment | ({"OPENBLAS_NUM_THREADS": named} if named else {})
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=asked, check=True)
        assert f"threads {expected}" in done.stdout
