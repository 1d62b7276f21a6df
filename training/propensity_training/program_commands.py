"""`propensity simulate program`: the whole loop in simulated worlds, against what else a company could do."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from propensity.cli import simulate_app

if TYPE_CHECKING:
    from rich.table import Table

    from propensity_training.program.contest import Contest, Results


def register(app: typer.Typer) -> None:
    """Add the command, to those of `simulate`."""
    simulate_app.command()(program)


def program(
    waves: Annotated[int, typer.Option(min=1, help="months, a wave each")] = 12,
    worlds: Annotated[int, typer.Option(min=1, help="so many worlds, each with customers and luck of its own")] = 1,
    newcomers: Annotated[int, typer.Option(min=100, help="people who come up for the first time in a wave")] = 4_000,
    pilot: Annotated[
        int, typer.Option(min=5_000, help="people of the randomised wave before the first, to learn from")
    ] = 20_000,
    budget_per_person: Annotated[float, typer.Option(min=0, help="currency for each person who comes up")] = 0.25,
    effect_scale: Annotated[float, typer.Option(min=0, help="multiplies every effect; 0: contact does nothing")] = 1.0,
    steady: Annotated[bool, typer.Option("--steady", help="nothing shifts: no release, no offer that tires")] = False,
    chart: Annotated[Path | None, typer.Option(help="write the chart to this SVG, PNG or HTML file")] = None,
    result: Annotated[
        Path | None,
        typer.Option(
            help="write all figures to this JSON file, after every world; worlds that it holds are not played"
        ),
    ] = None,
) -> None:
    """Run the whole loop, wave after wave, in simulated worlds, against what else a company could do.

    Each month customers leave and come up for a decision; who is not back after 90 days comes up once more. What
    happens is reported late. This product begins with a randomised pilot, decides from its ledger, retrains when
    enough windows have closed, and promotes what passes the gate. In wave 6 a release makes we_got_better twice as
    effective; from wave 9 on the extended trial does a third of what it did. All policies meet the same people, with
    the same luck, holdouts, rules and limits, and are worth what they truly bring on average.
    """
    import json
    from dataclasses import replace

    from propensity.files import write_text
    from propensity.simulation.world import SHIFTS
    from propensity.terminal import show
    from propensity_training.program.chart import require_picture, write_chart
    from propensity_training.program.contest import SETTING, Contest, play

    contest = Contest(
        worlds=worlds,
        waves=waves,
        newcomers=newcomers,
        pilot=pilot,
        setting=replace(SETTING, budget_per_person=budget_per_person),
        effect_scale=effect_scale,
        shifts=() if steady else SHIFTS,
    )
    if chart is not None:
        require_picture(chart)
    before = None if result is None or not result.exists() else _kept(result, contest)

    def keep(results: Results) -> None:
        if result is not None:
            write_text(result, json.dumps(results.to_json(), indent=1))

    results = play(contest, lambda line: typer.echo(line), before=before, keep=keep)
    show(_table(results))
    for line in _sentences(results):
        typer.echo(line)
    if chart is not None:
        write_chart(results, chart)
        typer.echo(f"Chart: {chart}")
    if result is not None:
        typer.echo(f"All figures: {result}")


def _kept(file: Path, contest: Contest) -> Results:
    """What an earlier run wrote there."""
    import json

    from propensity.errors import InputError
    from propensity_training.program.contest import RULES, Results

    try:
        found = Results.from_json(json.loads(file.read_text(encoding="utf-8")), contest)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"--result {file}: exists and holds no figures of this command; name another file") from error
    if found is None:
        raise InputError(f"--result {file}: holds the figures of other worlds; name another file, or the same options")
    if found.rules != RULES:
        raise InputError(
            f"--result {file}: was played by rules {found.rules} of this comparison, and rules {RULES} hold now: what "
            "some policies do is no longer the same, so that its worlds cannot stand beside new ones; name another file"
        )
    most = max((world.seed + 1 for world in found.worlds), default=0)
    if most > contest.worlds:
        raise InputError(
            f"--result {file}: holds world {most - 1}, which would be lost; name --worlds {most} or more, or another "
            "file"
        )
    return found


def _share(share: float) -> str:
    """In per cent; a dash where there was nothing to have a share of."""
    return "–" if share != share else f"{share:.0%}"


def _table(results: Results) -> Table:
    from propensity.terminal import new_table
    from propensity_training.program.contest import POLICIES, table

    contest = results.contest
    worlds = f"{contest.worlds} worlds" if contest.worlds > 1 else "one world"
    made = new_table(
        f"Gained above contacting nobody in {contest.waves} waves, mean of {worlds}, in currency",
        ["policy"],
        ["gained", "95 % interval", "of the oracle's", "of the best by features", "times the rule playbook's"],
    )
    for row in table(results).itertuples():
        interval = f"{row.low:,.0f} to {row.high:,.0f}" if contest.worlds > 1 else ""
        made.add_row(
            POLICIES[row.policy],
            f"{row.gained:,.0f}",
            interval,
            _share(row.of_oracle),
            _share(row.of_best_by_features),
            "–" if row.of_rules != row.of_rules else f"{row.of_rules:.2f}",
        )
    return made


def _learning_on(results: Results) -> list[str]:
    """What it brought that the product went on learning."""
    import numpy as np

    from propensity_training.program.contest import FROZEN, NAME, ORACLE

    later = [training for world in results.worlds for training in world.trainings[1:]]
    if not later:
        return []
    mean, low, high = results.more_than(NAME, FROZEN)
    interval = f" (95 % interval {low:+,.0f} to {high:+,.0f})" if len(results.worlds) > 1 else ""
    waves = np.array_split(np.arange(results.contest.waves), min(3, results.contest.waves))
    parts = [(int(part[0]), slice(int(part[0]), int(part[-1]) + 1)) for part in waves]
    shares = [
        f"{_share(results.ratio(NAME, ORACLE, part)[0])} of the oracle's in waves {first + 1} to {part.stop} "
        f"({_share(results.ratio(FROZEN, ORACLE, part)[0])} as the pilot left it)"
        for first, part in parts
    ]
    promoted = sum(training.promoted for training in later)
    weighed = sum(training.half_life_days is not None for training in later)
    told = f"Learning on brought {mean:+,.0f} a world{interval}."
    gained, possible = (results.gained(name).sum(axis=1) for name in (NAME, ORACLE))
    if possible.all():
        least, most = (gained / possible).min(), (gained / possible).max()
        told += f" This product gained {', '.join(shares)}; between {least:.0%} and {most:.0%} in all waves of a world."
    return [
        told,
        f"Of {len(later):,} later trainings {promoted:,} passed the gate; older decisions counted less in {weighed:,}.",
    ]


def _sentences(results: Results) -> list[str]:
    from propensity_training.program.contest import recovery

    told = []
    for world in results.worlds if len(results.worlds) == 1 else ():
        for training in world.trainings:
            promoted = "promoted" if training.promoted else "kept back"
            told.append(
                f"World {world.seed}, wave {training.wave}: learnt from {training.decisions:,} decisions, {promoted}. "
                f"{training.why}"
            )
    told += _learning_on(results)
    for shift, rows in recovery(results, results.contest.shifts).dropna(subset="share").groupby("shift", sort=False):
        shares = ", ".join(f"{row.share:.0%} in wave {row.wave}" for row in rows.itertuples())
        told.append(f"Around {shift}, this product's share of the best by features: {shares}.")
    return told
