"""`propensity reasons`: a company's own words for why people left, and how well reasons can be told."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from propensity.cli import Seed

if TYPE_CHECKING:
    from rich.table import Table

    from propensity.evaluation import Estimate
    from propensity.leavers import Leavers
    from propensity.reasons import ReasonReport

reasons_app = typer.Typer(
    help="Why people left: your labels in our words, and how well reasons can be told.", no_args_is_help=True
)

Labels = Annotated[
    str | None, typer.Option(help="TOML that says what each label means, or the name of one that comes with it: telco")
]
Stated = Annotated[str | None, typer.Option(help="column of what people stated; default: the table's, or reason")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(reasons_app, name="reasons")


@reasons_app.command("map")
def map_labels(
    data: Annotated[str, typer.Argument(metavar="FILE", help="CSV or Parquet file of people who left")],
    labels: Labels = None,
    column: Stated = None,
    out: Annotated[
        Path | None, typer.Option(help="write the file again with our reasons in the column reason: .csv or .parquet")
    ] = None,
) -> None:
    """Say what each label of a file means, and write the file with our reasons; excluded people are left out."""
    import pandas as pd

    from propensity.errors import InputError
    from propensity.files import written_aside
    from propensity.leavers import read_leavers
    from propensity.terminal import new_table, show

    if out is not None and out.suffix not in (".csv", ".parquet"):
        raise InputError(f"--out {out}: expected a file that ends in .csv or .parquet")
    people = read_leavers(data, labels=labels, column=column)
    table = new_table("What was stated", ["label", "our reason"], ["people"])
    stated = pd.DataFrame({"label": people.labels, "reason": people.reason.fillna("unknown")}).dropna()
    for row in stated.value_counts().reset_index(name="people").itertuples(index=False):
        table.add_row(str(row.label), str(row.reason), f"{row.people:,}")
    show(table)
    typer.echo(_whom(people))
    if out is not None:
        written = people.table.assign(reason=people.reason)
        with written_aside(out) as aside:
            if out.suffix == ".csv":
                written.to_csv(aside, index=False)
            else:
                written.to_parquet(aside, index=False)
        typer.echo(f"Wrote {len(written):,} people with the column reason to {out}.")


@reasons_app.command("report")
def report(
    data: Annotated[str, typer.Argument(metavar="DATA", help="CSV or Parquet file of people who left, or telco")],
    labels: Labels = None,
    column: Stated = None,
    answers: Annotated[
        str | None, typer.Option(help="column of what they wrote in their own words; default: exit_answer, if there")
    ] = None,
    without: Annotated[
        list[str] | None, typer.Option(help="column that was not known before they left; may be given again")
    ] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="write all figures to this JSON file")] = None,
    seed: Seed = 0,
) -> None:
    """Learn to tell reasons from features and exit answers, and say how well that works on people not learnt from."""
    import json

    from propensity.errors import InputError
    from propensity.files import write_text
    from propensity.leavers import read_leavers
    from propensity.reasons import ReasonModels
    from propensity.reasons.report import least_people

    people = read_leavers(data, labels=labels, column=column, answers=answers, without=without or ())
    typer.echo(_whom(people))
    features = people.features
    for line in _columns(people, len(features.columns)):
        typer.echo(line)
    models = ReasonModels.fit(features, people.reason, people.answers, seed)
    if not models.reports:
        counts = people.reason.value_counts()
        found = ", ".join(f"{name} ({n:,})" for name, n in counts.items()) or "none"
        raise InputError(
            f"data {data}: expected at least two reasons that {least_people()} people or more stated, and something "
            f"to tell them from, found {found}"
        )
    for found_by in models.reports:
        _show(found_by)
    if json_file is not None:
        content = {
            "file": people.file,
            "people": len(people.reason),
            "stated": int(people.reason.notna().sum()),
            "excluded": people.n_excluded,
            "features": [str(c) for c in features.columns],
            "reports": [
                {"shown": each.shown, "sentence": each.sentence, **_named(each.to_state())} for each in models.reports
            ],
        }
        write_text(json_file, json.dumps(content, indent=1))
        typer.echo(f"All figures: {json_file}")


def _named(state: dict[str, object]) -> dict[str, object]:
    """Named tuples as objects."""
    from propensity.assessment import plain

    return plain(state)


def _whom(people: Leavers) -> str:
    n_known = int(people.reason.notna().sum())
    excluded = f"; {people.n_excluded:,} more are excluded" if people.n_excluded else ""
    kinds = people.reason.nunique()
    return (
        f"{people.file}: {len(people.reason):,} people left; {n_known:,} stated one of {kinds} reasons, "
        f"{len(people.reason) - n_known:,} gave none{excluded}."
    )


def _columns(people: Leavers, n_features: int) -> list[str]:
    """What is learnt from, and what to beware of."""
    said = [f"{n_features} columns are features."]
    if people.without_pattern:
        said.append(f"No features, because they are times or names: {', '.join(people.without_pattern)}.")
    for name in people.revealing:
        said.append(
            f"Caution: {name} all but says the reason. If it was filled in after people left, leave it out: "
            f"--without {name!r}."
        )
    return said


def _show(found: ReasonReport) -> None:
    from propensity.terminal import show

    for table in (_against_shares(found), _by_reason(found), _by_chance(found)):
        typer.echo()
        show(table)
    if found.left_out:
        rare = ", ".join(f"{reason} ({n:,})" for reason, n in found.left_out.items())
        typer.echo(f"Too few people stated {rare}: not learnt.")
    typer.echo()
    typer.echo(found.sentence)
    rule = " A reason counts if its chance is the least that is asked for or more, and above its share among all."
    typer.echo(found.consequence + (rule if found.shown else ""))


def _against_shares(found: ReasonReport) -> Table:
    from propensity.terminal import new_table

    title = f"Reasons told from {found.told_from}: {found.n:,} people, each by a model that had not seen them"
    table = new_table(title, ["measure"], ["model (95 % sure)", "shares alone (95 % sure)", "gain (95 % sure)"])
    above = found.auc._replace(value=found.auc.value - 0.5, low=found.auc.low - 0.5, high=found.auc.high - 0.5)
    table.add_row("AUC, mean over reasons (0.5 is chance, 1 is perfect)", _figure(found.auc), "0.500", _gain(above))
    table.add_row("log-loss (0 is perfect)", _figure(found.log_loss), _figure(found.share_log_loss), _gain(found.gain))
    return table


def _by_reason(found: ReasonReport) -> Table:
    from propensity.terminal import new_table

    table = new_table(
        "Reason by reason. Last columns: the fifth of people for whom the model thinks it likeliest",
        ["reason"],
        ["people", "share", "AUC (95 % sure)", "model says", "stated it (95 % sure)"],
    )
    for reason, n in found.counts.items():
        most = [row for row in found.calibration if row["reason"] == reason][-1]
        table.add_row(
            reason,
            f"{n:,}",
            _percent(n / found.n),
            _figure(found.auc_by_reason[reason]),
            _percent(most["predicted"]),
            f"{_percent(most['observed'])} ({_percent(most['low'])} to {_percent(most['high'])})",
        )
    return table


def _by_chance(found: ReasonReport) -> Table:
    from propensity.terminal import new_table

    table = new_table(
        "If a playbook asks for a least chance (reasons.min_probability)",
        [],
        ["least chance", "people given a reason", "mean chance claimed", "right"],
    )
    for row in found.sureness:
        claimed = ["-", "-"] if row.claimed is None else [_percent(row.claimed), _percent(row.right or 0.0)]
        table.add_row(f"{row.minimum:g}", _percent(row.share), *claimed)
    return table


def _figure(found: Estimate) -> str:
    return f"{found.value:.3f} ({found.low:.3f} to {found.high:.3f})"


def _gain(found: Estimate) -> str:
    return f"{found.value:+.3f} ({found.low:+.3f} to {found.high:+.3f})"


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"
