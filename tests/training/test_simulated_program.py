"""The whole loop in a small world, against what else a company could do."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from simulated_waves import FEW_ACTIONS

from propensity import registry
from propensity.contract import CONTROL
from propensity.errors import InputError
from propensity.policy import is_held_out
from propensity.simulation.world import SHIFTS, Course, Shift, World, world_playbook
from propensity_training.program import foresight as foresight_module
from propensity_training.program.chart import gains_chart, gains_table, write_chart
from propensity_training.program.contest import (
    FORESIGHT,
    FROZEN,
    NAME,
    NOBODY,
    ORACLE,
    POLICIES,
    RULES,
    Contest,
    Results,
    WorldResult,
    mean_with_interval,
    play,
    recovery,
    table,
)
from propensity_training.program.foresight import foresight
from propensity_training.program.product import Product, Retraining, Schedule
from propensity_training.program.rivals import (
    Asked,
    Choice,
    Rival,
    Setting,
    blast,
    by_propensity,
    by_rules,
    by_truth,
    nobody,
    within,
    worth,
)

ROOT = Path(__file__).parents[2]
SETTING = Setting(budget_per_person=0.05, weeks=30 / 7)
WAVES = 5


def small_world(seed: int, newcomers: int, shifts: Sequence[Shift] = ()) -> World:
    book = world_playbook()
    actions = {name: book.actions[name] for name in FEW_ACTIONS}
    return World(seed, newcomers, playbook=book.model_copy(update={"actions": actions}), effect_scale=3, shifts=shifts)


@pytest.fixture(scope="module")
def product(mlflow_database, tmp_path_factory) -> Product:
    """The product after some waves in a small world, which it went through with files of its own."""
    directory = tmp_path_factory.mktemp("program")
    (directory / "mlflow.db").write_bytes(mlflow_database.read_bytes())
    world = small_world(1, 400)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(directory)
        patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{directory / 'mlflow.db'}")
        made = Product(Course(world), directory, SETTING, Schedule(growth=1.2, held_out_share=0.3), "small")
        made.begin(world.pilot(2_500))
        for wave in range(1, WAVES + 1):
            made.play(wave)
        made.champion_title = registry.find("small").title
    yield made
    made.ledger.close()


def test_everybody_who_comes_up_is_decided_on_once_with_chances(product):
    for wave in range(1, WAVES + 1):
        recorded = product.ledger.assignments(f"program-{wave:02d}")
        assert recorded["customer_id"].is_unique
        chances = recorded.filter(like="probability_")
        np.testing.assert_allclose(chances.sum(axis=1), 1.0)
        served = chances.to_numpy()[
            np.arange(len(recorded)), chances.columns.get_indexer("probability_" + recorded["action"])
        ]
        np.testing.assert_allclose(served, recorded["probability"])
        held = is_held_out(recorded["customer_id"], f"program-{wave:02d}", product.playbook.learning)
        assert (recorded.loc[held, "action"] == CONTROL).all()
        assert recorded["spend"].fillna(0).sum() <= SETTING.budget_per_person * len(recorded) * (1 + 1e-9)


def test_it_retrains_when_windows_have_closed_and_says_what_the_gate_said(product):
    waves = [training.wave for training in product.trainings]
    # the windows of the first wave close before the fourth; the pilot taught before the first
    assert waves[0] == 1
    assert set(waves[1:]) <= {4, 5}
    assert len(waves) > 1
    taught = [training.decisions for training in product.trainings]
    assert taught == sorted(taught)
    assert all(training.why for training in product.trainings)
    promoted = [f"small/{i + 1}" for i, training in enumerate(product.trainings) if training.promoted]
    assert product.champion_title == promoted[-1]
    rows = [row["to_version"] for row in product.ledger.promotions("small")]
    assert [f"small/{version}" for version in rows] == promoted[1:]


def test_nothing_is_worth_more_than_the_oracle(product):
    """In waves of the same people; the oracle spends what is truly spent, within the same budget and holdouts."""
    world = product.course.world
    rivals = [Rival(c.__name__, c, Course(world), _any_model(product), SETTING) for c in (nobody, by_truth)]
    for wave in range(1, WAVES + 1):
        for rival in rivals:
            rival.play(wave)
    nothing, oracle = (sum(rival.worth) for rival in rivals)
    assert nothing < oracle
    assert sum(product.worth) < oracle


def _any_model(product):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{product.directory / 'mlflow.db'}")
        return product.champion


def test_rivals_keep_holdouts_rules_and_limits(product):
    world, model = product.course.world, _any_model(product)
    for choose in (by_rules, by_truth):
        rival = Rival("r", choose, Course(world), model, SETTING)
        for wave in (1, 2):
            due = rival.course.due(wave)
            asked = rival._asked(wave, due)
            action = within(np.where(asked.served, choose(asked), CONTROL), asked.limits, asked.labels)
            contacted = action != CONTROL
            assert contacted.any()
            assert asked.served[contacted].all()
            column = asked.labels.get_indexer(pd.Index(action[contacted]))
            allowed = asked.people.eligible.allowed.to_numpy()
            assert allowed[contacted, column].all()
            spent = asked.limits[0].use.to_numpy()[contacted, column].sum()
            assert spent <= SETTING.budget_per_person * len(due) * (1 + 1e-9)
            if choose is by_truth:
                assert worth(due, action, rival.course) > worth(due, np.full(len(due), CONTROL), rival.course)


OFFERS_OF_EMAILS = ("percent_off", "price_hold")


def only(email: str) -> Choice:
    """The same e-mail in every wave, to everybody who may get it."""

    def choose(asked: Asked) -> np.ndarray:
        return np.where(asked.people.eligible.allowed[email], email, CONTROL).astype(object)

    return choose


@pytest.mark.parametrize("seed", [2, 3])
@pytest.mark.parametrize("budget_per_person", [0.02, 100.0])
def test_no_other_email_gains_more_for_everybody(product, seed, budget_per_person):
    """Whatever the pilot's model thinks, and though each offer in turn does next to nothing."""
    first, second = OFFERS_OF_EMAILS
    shifts = [
        Shift(1, {f"offer:{first}": 0.05}, "nobody wants it"),
        Shift(3, {f"offer:{first}": 20.0, f"offer:{second}": 0.05}, "nobody wants the other"),
    ]
    world, model = small_world(seed, 400, shifts), _any_model(product)
    emails = [name for name, action in world.playbook.actions.items() if action.channel == "email"]
    assert {world.playbook.actions[name].offer for name in emails} == set(OFFERS_OF_EMAILS)
    setting = replace(SETTING, budget_per_person=budget_per_person)
    choices = {"nobody": nobody, "blast": blast, **{email: only(email) for email in emails}}
    rivals = {name: Rival(name, choose, Course(world), model, setting) for name, choose in choices.items()}
    for wave in range(1, WAVES + 1):
        for rival in rivals.values():
            rival.play(wave)
    found = {name: np.array(rival.worth) for name, rival in rivals.items()}
    assert found["blast"][0] == max(found[email][0] for email in emails)
    assert found["blast"].sum() > max(found[email].sum() for email in emails)
    assert found["blast"].sum() > found["nobody"].sum()


def test_the_half_most_likely_to_return_gets_the_same_email(product):
    rival = Rival("half", by_propensity, Course(small_world(2, 400)), _any_model(product), SETTING)
    asked = rival._asked(1, rival.course.due(1))
    all_of_them, half = blast(asked), by_propensity(asked)
    assert set(half) == set(all_of_them)
    contacted = half != CONTROL
    assert (all_of_them[contacted] == half[contacted]).all()
    assert 0.4 < contacted.sum() / (all_of_them != CONTROL).sum() < 0.6


def test_what_features_can_tell_lies_between(product, monkeypatch):
    monkeypatch.setattr(foresight_module, "PEOPLE", 6_000)
    world, model = product.course.world, _any_model(product)
    known = foresight(world, 1)
    gains = {}
    for name, choose in (("nobody", nobody), ("features", known), ("truth", by_truth)):
        rival = Rival(name, choose, Course(world), model, SETTING)
        rival.play(1)
        gains[name] = rival.worth[0]
    assert gains["nobody"] < gains["features"] < gains["truth"]


@pytest.fixture
def results() -> Results:
    rng = np.random.default_rng(0)
    contest = Contest(worlds=4, waves=6, shifts=(Shift(3, {}, "a release"),))
    size = {name: k for k, name in enumerate(POLICIES)}
    worlds = [
        WorldResult(seed, {name: (k * (10 + rng.random(6))).tolist() for name, k in size.items()}, [100] * 6, ())
        for seed in range(4)
    ]
    return Results(contest, tuple(worlds))


def test_tables_are_means_over_worlds(results):
    made = table(results).set_index("policy")
    assert NOBODY not in made.index
    own, oracle = results.gained(NAME).sum(axis=1), results.gained(ORACLE).sum(axis=1)
    assert made.loc[NAME, "gained"] == pytest.approx(own.mean())
    assert made.loc[NAME, "of_oracle"] == pytest.approx((own / oracle).mean())
    assert made.loc[NAME, "low"] < own.mean() < made.loc[NAME, "high"]
    around = recovery(results, results.contest.shifts)
    assert around["wave"].tolist() == [2, 3, 4, 5, 6]
    features = results.gained(FORESIGHT)
    assert around["share"].iloc[1] == pytest.approx((results.gained(NAME)[:, 2] / features[:, 2]).mean())
    json.dumps(results.to_json())


def test_intervals_of_means_cover():
    rng = np.random.default_rng(1)
    held = sum(low <= 3 <= high for _, low, high in (mean_with_interval(rng.normal(3, 1, 5)) for _ in range(2_000)))
    assert 0.935 < held / 2_000 < 0.965
    assert np.isnan(mean_with_interval(np.array([1.0]))[1:]).all()


def test_the_chart_shows_the_tables_sums(results):
    shown = gains_table(results)
    last = shown[(shown["policy"] == POLICIES[NAME]) & (shown["wave"] == 6)].iloc[0]
    assert last["gained"] == pytest.approx(results.total(NAME)[0] / 1_000)
    assert gains_chart(results).to_dict()["layer"]


def test_names_of_lines_fit_into_the_chart(results, tmp_path):
    """Also where letters are wide: in DejaVu Sans, which many browsers take, these names need up to 0.55 em each."""
    write_chart(results, tmp_path / "loop.svg")
    for file in (tmp_path / "loop.svg", ROOT / "docs/loop.svg"):
        svg = file.read_text(encoding="utf-8")
        width = float(re.search(r'<svg[^>]* width="([0-9.]+)"', svg)[1])
        left = float(re.search(r'transform="translate\(([0-9.]+),', svg)[1])
        names = re.findall(r'policy: [^>]*translate\(([0-9.]+),[^>]*font-size="([0-9.]+)px"[^>]*>([^<]+)</text>', svg)
        assert len(names) == len(POLICIES) - 1
        for x, size, name in names:
            assert left + float(x) + 0.55 * float(size) * len(name) <= width, f"{file.name}: {name}"


def test_worlds_of_other_rules_are_read_but_not_continued(results):
    kept = json.loads(json.dumps(results.to_json()))
    assert Results.from_json(kept, results.contest).rules == RULES
    # as files were before rules were written down
    del kept["rules"]
    before = Results.from_json(kept, results.contest)
    assert before.rules == 1
    assert json.loads(json.dumps(before.to_json())) == {**kept, "rules": 1}
    with pytest.raises(InputError, match=f"played by rules 1; expected rules {RULES}"):
        play(results.contest, before=before)


def test_worlds_that_were_played_before_are_not_played_again(results):
    kept = json.loads(json.dumps(results.to_json()))
    before = Results.from_json(kept, results.contest)
    assert before is not None
    assert before.to_json() == results.to_json()
    # no world is left to be played, which would take minutes
    said = []
    assert play(results.contest, said.append, before=before).to_json() == results.to_json()
    assert said == []
    assert Results.from_json(kept, replace(results.contest, newcomers=results.contest.newcomers + 1)) is None


def test_the_command_shows_what_a_file_holds_and_refuses_other_worlds(results, propensity, tmp_path):
    contest = replace(results.contest, shifts=SHIFTS)
    options = ["--worlds", 4, "--waves", contest.waves, "--newcomers", contest.newcomers, "--pilot", contest.pilot]
    file = tmp_path / "loop.json"
    content = {**results.to_json(), "contest": json.loads(json.dumps(asdict(contest)))}
    file.write_text(json.dumps(content), encoding="utf-8")
    code, out, _ = propensity("simulate", "program", *options, "--result", file)
    assert code == 0
    assert "This product" in out
    assert "later trainings" not in out
    code, _, error = propensity("simulate", "program", *options, "--steady", "--result", file)
    assert (code, "holds the figures of other worlds" in error) == (2, True)
    for earlier in ({**content, "rules": RULES - 1}, {key: content[key] for key in ("contest", "worlds")}):
        text = json.dumps(earlier)
        file.write_text(text, encoding="utf-8")
        code, _, error = propensity("simulate", "program", *options, "--result", file)
        assert (code, f"was played by rules {RULES - 1} of this comparison" in " ".join(error.split())) == (2, True)
        assert file.read_text(encoding="utf-8") == text
    trainings = [asdict(Retraining(wave, 100, None, wave < 3, "")) for wave in (1, 2, 3)]
    for world in content["worlds"]:
        world["trainings"] = trainings
    file.write_text(json.dumps(content), encoding="utf-8")
    _, out, _ = propensity("simulate", "program", *options, "--result", file)
    told = " ".join(out.split())
    more = (results.gained(NAME) - results.gained(FROZEN)).sum(axis=1).mean()
    assert f"Learning on brought {more:+,.0f} a world (95 % interval" in told
    assert "Of 8 later trainings 4 passed the gate; older decisions counted less in 0." in told
    # nothing that was played goes because fewer worlds are asked for
    code, _, error = propensity("simulate", "program", "--worlds", 2, *options[2:], "--result", file)
    assert (code, "holds world 3, which would be lost; name --worlds 4 or more" in " ".join(error.split())) == (2, True)
    assert file.read_text(encoding="utf-8") == json.dumps(content)
    code, _, error = propensity("simulate", "program", *options, "--chart", tmp_path / "loop.txt")
    assert (code, "expected a file that ends in .svg" in " ".join(error.split())) == (2, True)
    lacking = json.loads(json.dumps(content))
    del lacking["worlds"][1]["gained"][ORACLE]
    short = json.loads(json.dumps(content))
    short["worlds"][1]["gained"][ORACLE].pop()
    for broken in ("", "{}", "[1]", json.dumps(lacking), json.dumps(short)):
        file.write_text(broken, encoding="utf-8")
        code, _, error = propensity("simulate", "program", *options, "--result", file)
        assert (code, "holds no figures of this command" in error) == (2, True)


def test_worlds_in_which_nothing_shifts_or_contact_does_nothing_are_told_of_too(results, propensity, tmp_path):
    """The oracle contacts nobody where contact does nothing, so that there is nothing to have a share of."""
    contest = replace(results.contest, shifts=(), effect_scale=0.0)
    options = ["--worlds", 4, "--waves", 6, "--steady", "--effect-scale", 0]
    worlds = json.loads(json.dumps(results.to_json()))["worlds"]
    for world in worlds:
        world["gained"] = {name: [0.0 if name == ORACLE else -1.0] * 6 for name in world["gained"]}
        world["trainings"] = [asdict(Retraining(wave, 100, None, True, "")) for wave in (1, 2)]
    content = {**results.to_json(), "contest": json.loads(json.dumps(asdict(contest))), "worlds": worlds}
    file, chart = tmp_path / "loop.json", tmp_path / "loop.svg"
    file.write_text(json.dumps(content), encoding="utf-8")
    code, out, error = propensity("simulate", "program", *options, "--result", file, "--chart", chart)
    assert (code, error) == (0, "")
    assert chart.exists()
    assert "Learning on brought +0 a world" in out
    assert "nan" not in out
    assert "Around" not in out


def test_a_process_ends_with_the_one_that_asked_for_it(tmp_path):
    """Also where that was killed: its world takes minutes, and nobody would read it."""
    script = (
        "import os, sys, time\n"
        "from concurrent.futures import ProcessPoolExecutor\n"
        "from multiprocessing import get_context\n"
        "from propensity_training.program.contest import _end_with_parent\n"
        "if __name__ == '__main__':\n"
        "    with ProcessPoolExecutor(1, get_context('spawn'), initializer=_end_with_parent) as pool:\n"
        "        print(pool.submit(os.getpid).result(), flush=True)\n"
        "        pool.submit(time.sleep, 600).result()\n"
    )
    (tmp_path / "asks.py").write_text(script, encoding="utf-8")
    with subprocess.Popen([sys.executable, tmp_path / "asks.py"], stdout=subprocess.PIPE, text=True) as asks:
        child = int(asks.stdout.readline())
        os.kill(child, 0)
        asks.kill()
    patience = time.monotonic() + 30
    while _runs(child) and time.monotonic() < patience:
        time.sleep(0.1)
    assert not _runs(child)


def _runs(process: int) -> bool:
    """Whether a process is there, and not only its entry, for want of a parent that asks how it ended."""
    try:
        return Path(f"/proc/{process}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.parametrize("page", ["README.md", "docs/benchmarks.md"])
def test_pages_show_the_figures_that_are_kept(page):
    content = json.loads((ROOT / "docs/loop.json").read_text(encoding="utf-8"))
    kept = Results.from_json(content, replace(Contest(), worlds=len(content["worlds"])))
    assert kept is not None, "docs/loop.json was not made by the command's own options"
    told = (ROOT / page).read_text(encoding="utf-8").replace("**", "")
    assert f"mean of {len(kept.worlds)} worlds" in told
    for row in table(kept).itertuples():
        figures = [f"{row.gained:,.0f}", f"{row.low:,.0f} to {row.high:,.0f}", f"{row.of_oracle:.0%}"]
        figures += [f"{row.of_best_by_features:.0%}", f"{row.of_rules:.2f}"]
        assert f" | {' | '.join(figures)} |".replace("%", " %") in told, POLICIES[row.policy]

    def percent(policy: str, of: str, first: int | None = None) -> str:
        waves = slice(None) if first is None else slice(first, first + 4)
        return f"{100 * kept.ratio(policy, of, waves)[0]:.0f} %"

    more, low, high = kept.more_than(NAME, FROZEN)
    told = " ".join(told.split())
    assert f"{more:+,.0f} a world ({low:+,.0f} to {high:+,.0f})" in told
    sentences = {
        "README.md": f"gained {percent(NAME, ORACLE)} of what an oracle gains that knows each person, and "
        f"{kept.ratio(NAME, 'rules')[0]:.1f} times what the rule playbook gains; in waves 9 to 12 "
        f"{percent(NAME, ORACLE, 8)}, and {percent(FROZEN, ORACLE, 8)} where it did not learn on",
        "docs/benchmarks.md": f"waves 1 to 4 brought {percent(NAME, ORACLE, 0)} of the oracle's "
        f"({percent(NAME, FORESIGHT, 0)} of the best by features), waves 5 to 8 {percent(NAME, ORACLE, 4)} "
        f"({percent(NAME, FORESIGHT, 4)}), waves 9 to 12 {percent(NAME, ORACLE, 8)} ({percent(NAME, FORESIGHT, 8)}); "
        f"as the pilot left it, {percent(FROZEN, ORACLE, 0)}, {percent(FROZEN, ORACLE, 4)} and "
        f"{percent(FROZEN, ORACLE, 8)}.",
    }
    assert sentences[page] in told
