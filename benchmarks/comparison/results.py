"""From what competitors chose on the splits to estimates, ranks and markdown."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from comparison.competitors import REFERENCE
from comparison.judging import ORACLE, SAME_FOR_ALL

PEOPLE = 1000


@dataclass
class Row:
    """One competitor on the splits of one problem; arrays (n test people,), one a split.

    ``parts`` and so ``qini`` are missing for policies that predict no effects. ``trouble`` says why there is no result.
    """

    name: str
    values: list[np.ndarray] = field(default_factory=list)
    parts: list[np.ndarray] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    trouble: str = ""

    @property
    def value(self) -> float:
        """Net value per 1,000 people against contacting nobody, mean over splits; NaN where there is none."""
        return _mean(self.values) if not self.trouble else float("nan")

    @property
    def qini(self) -> float:
        """QINI per 1,000 people, mean over splits; NaN where there is none."""
        return _mean(self.parts) if self.parts and not self.trouble else float("nan")


@dataclass
class Table:
    """All competitors on one problem."""

    key: str
    title: str
    unit: str
    n_test: list[int]
    rows: list[Row]

    def row(self, name: str) -> Row:
        """The row of this name."""
        return next(row for row in self.rows if row.name == name)

    def markdown(self) -> str:
        """The table, best net value first."""
        simulated = any(row.name == ORACLE for row in self.rows)
        share = " share of the oracle's gain over the same action for all |" if simulated else ""
        people = " + ".join(f"{n:,}" for n in self.n_test)
        lines = [
            f"### {self.title}",
            "",
            f"`{self.key}`; test people: {people}. Net value: {self.unit} per 1,000 people, against contacting nobody.",
            "",
            f"| competitor | net value | minus UpliftStack |{share} QINI | minus UpliftStack | seconds |",
            "|---|---|---|" + ("---|" if simulated else "") + "---|---|---|",
        ]
        base = self.row(REFERENCE)
        base = Row(REFERENCE) if base.trouble else base
        ordered = sorted(self.rows, key=lambda row: (np.isnan(row.value), -np.nan_to_num(row.value)))
        for row in ordered:
            if row.trouble:
                lines.append(f"| {row.name} | {row.trouble} | |{' |' if simulated else ''} | | {_seconds(row)} |")
                continue
            cells = [f"**{row.name}**" if row.name == REFERENCE else row.name, _number(row.value)]
            cells.append(paired(row.values, base.values))
            if simulated:
                same, oracle = self.row(SAME_FOR_ALL).value, self.row(ORACLE).value
                cells.append(f"{(row.value - same) / (oracle - same):.0%}")
            cells += [_number(row.qini), paired(row.parts, base.parts) if row.parts else "", _seconds(row)]
            lines.append(f"| {' | '.join(cells)} |")
        return "\n".join(lines)


def paired(values: list[np.ndarray], base: list[np.ndarray]) -> str:
    """Difference from the reference with its standard error, per 1,000 people.

    The splits of an experiment share their people, so that their errors do not average out: the error is that of a
    single split (root of the mean variance), not divided by their number.
    """
    if values is base or not base:
        return ""
    if all(np.array_equal(v, b) for v, b in zip(values, base, strict=True)):
        return "0"
    differences = [v - b for v, b in zip(values, base, strict=True)]
    variance = np.mean([d.var(ddof=1) / len(d) for d in differences])
    return f"{_number(_mean(differences), sign=True)} ± {_number(float(np.sqrt(variance)) * PEOPLE)}"


def summary(tables: list[Table]) -> str:
    """Mean ranks over the problems; a competitor is ranked where it has a result."""
    value_ranks, qini_ranks, lost, won = {}, {}, {}, {}
    for table in tables:
        ranked = [row for row in table.rows if row.name not in (ORACLE,)]
        value = pd.Series({row.name: row.value for row in ranked}).dropna()
        qini = pd.Series({row.name: row.qini for row in ranked}).dropna()
        value_ranks[table.key] = value.rank(ascending=False)
        qini_ranks[table.key] = qini.rank(ascending=False)
        same = value[SAME_FOR_ALL]
        lost[table.key], won[table.key] = value < same, value > same
    values, qinis = pd.DataFrame(value_ranks), pd.DataFrame(qini_ranks)
    frame = pd.DataFrame(
        {
            "value": values.mean(axis=1),
            "qini": qinis.mean(axis=1),
            "problems": values.notna().sum(axis=1),
            "lost": pd.DataFrame(lost).eq(True).sum(axis=1),
            "won": pd.DataFrame(won).eq(True).sum(axis=1),
        }
    ).sort_values("value")
    lines = [
        "| competitor | rank, net value | rank, QINI | problems | better, worse than the same action for all |",
        "|---|---|---|---|---|",
    ]
    for name, row in frame.iterrows():
        qini = "" if np.isnan(row["qini"]) else f"{row['qini']:.1f}"
        bold = f"**{name}**" if name == REFERENCE else str(name)
        lines.append(
            f"| {bold} | {row['value']:.1f} | {qini} | {row['problems']:.0f} | {row['won']:.0f}, {row['lost']:.0f} |"
        )
    return "\n".join(lines)


def _mean(arrays: list[np.ndarray]) -> float:
    return float(np.mean([a.mean() for a in arrays])) * PEOPLE


def _number(value: float, sign: bool = False) -> str:
    if np.isnan(value):
        return ""
    digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2 if abs(value) >= 0.1 or value == 0 else 3
    return f"{value:{'+' if sign else ''},.{digits}f}"


def _seconds(row: Row) -> str:
    return f"{np.mean(row.seconds):.1f}" if row.seconds and not np.isnan(row.seconds).all() else ""
