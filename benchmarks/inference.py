"""Do the statistics of experiments keep what they promise?

Simulates experiments whose truth is known and runs the product's own functions on them:
`python benchmarks/inference.py` prints one Markdown table a subject; `--only coverage sequential` runs some. Seeds are
fixed by subject (`--first-seed` moves all), and no run is left out.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterable

import numpy as np
import pandas as pd
from scipy import stats

from propensity import datasets
from propensity.frame import all_actions, logged_propensity, training_frame
from propensity.inference import (
    DaySums,
    balance_test,
    compare_arms,
    confidence_sequence,
    gatekeeping,
    guardrail,
    holm,
    lift,
    minimum_detectable_effect,
    non_inferiority,
    required_sample_size,
    return_curve,
    revenue_parts,
    sample_ratio_test,
    shrunk_effects,
    winsorised,
)
from propensity.inference.skewness import normalised, skewness_of_difference

Experiment = tuple[np.ndarray, np.ndarray, pd.DataFrame, np.ndarray]
"""Outcome, action, logged probabilities, covariates."""
PAIR = np.array(["control", "mail"])
SIGMA = 1.0
"""Of the logarithm of amounts, whose mean is 50."""


def table(head: Iterable[str], rows: Iterable[Iterable[object]]) -> None:
    head = list(head)
    print("| " + " | ".join(head) + " |\n|" + "---|" * len(head))
    for row in rows:
        print("| " + " | ".join(map(str, row)) + " |", flush=True)
    print()


def share(values: object) -> str:
    """A share in per cent with its simulation error."""
    x = np.asarray(values, dtype=float)
    return f"{x.mean():.2%} ± {np.sqrt(x.mean() * (1 - x.mean()) / len(x)):.2%}"


def assigned(n: int, chance: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, pd.DataFrame]:
    """Who was sent mail, and the logged probabilities."""
    return rng.random(n) < chance, pd.DataFrame({"control": 1 - chance, "mail": chance})


def campaign(
    n: int, rng: np.random.Generator, *, money: bool, unequal: bool, contacted: float = 0.5, often: int = 1
) -> tuple[Experiment, float]:
    """An experiment on a rare return (0.5 %) or on revenue, and the true difference.

    A quarter of the people are keen and come back more often; they are contacted more often where chances are unequal.
    The covariates are whether somebody is keen and their past spend, which goes with what they spend now. With
    ``often`` so many times as many people buy.
    """
    keen, past = rng.random(n) < 0.25, rng.normal(size=n)
    chance = np.where(keen, 0.8, 0.3) if unequal else np.full(n, contacted)
    sent, chances = assigned(n, chance, rng)
    if not money:
        base, changed = np.where(keen, 0.0125, 0.0025), np.where(keen, 0.0175, 0.004)
        y = (rng.random(n) < np.where(sent, changed, base)).astype(float)
        truth = 0.25 * 0.005 + 0.75 * 0.0015
    else:
        base, changed = often * np.where(keen, 0.05, 0.01), often * np.where(keen, 0.06, 0.0125)
        log = 0.8 * past + 0.6 * rng.normal(size=n)
        y = (rng.random(n) < np.where(sent, changed, base)) * 50 * np.exp(SIGMA * log - SIGMA**2 / 2)
        truth = often * 50 * (0.25 * 0.01 + 0.75 * 0.0025)
    return (y, PAIR[sent.astype(int)], chances, np.column_stack([keen, np.exp(past), keen * np.exp(past)])), truth


def capped_mean(cap: float) -> float:
    """Mean of an amount that counts as the cap where it is above it."""
    log = (np.log(cap / 50) + SIGMA**2 / 2) / SIGMA
    return float(50 * stats.norm.cdf(log - SIGMA) + cap * stats.norm.sf(log))


def coverage(runs: int, first: int) -> None:
    rows = []
    cases = [
        ("0.5 % rare, halves, 20,000 people", 20_000, {"money": False, "unequal": False}),
        ("0.5 % rare, halves, 4,000 people", 4_000, {"money": False, "unequal": False}),
        ("0.5 % rare, 10 % held out, 20,000 people", 20_000, {"money": False, "unequal": False, "contacted": 0.9}),
        ("0.5 % rare, unequal chances, 20,000 people", 20_000, {"money": False, "unequal": True}),
        ("revenue, halves, 20,000 people", 20_000, {"money": True, "unequal": False}),
        ("revenue, unequal chances, 20,000 people", 20_000, {"money": True, "unequal": True}),
        ("revenue of 20 % buyers, unequal, 5,000 people", 5_000, {"money": True, "unequal": True, "often": 10}),
        ("revenue, 10 % held out, 20,000 people", 20_000, {"money": True, "unequal": False, "contacted": 0.9}),
        ("0.5 % rare, 5 % held out, 20,000 people", 20_000, {"money": False, "unequal": False, "contacted": 0.95}),
    ]
    for seed, (name, n, options) in enumerate(cases):
        rng = np.random.default_rng(first + seed)
        held, adjusted, relative, capped, width = [], [], [], [], []
        for _ in range(runs):
            (y, action, chances, X), truth = campaign(n, rng, **options)
            (found,) = lift(y, action, chances, covariates=X)
            plain = found.unadjusted
            held.append(plain.low <= truth <= plain.high)
            adjusted.append(found.low <= truth <= found.high)
            width.append(found.standard_error / plain.standard_error)
            base = 0.005 if not options["money"] else 1.0 * options.get("often", 1)
            if found.relative is not None:
                relative.append(found.relative.low <= truth / base <= found.relative.high)
            if options["money"]:
                low, cap, _ = winsorised(y)
                (less,) = lift(low, action, chances)
                capped.append(less.low <= truth / 50 * capped_mean(cap) <= less.high)
        row = [name, share(held), share(adjusted), f"{np.mean(width):.3f}", share(relative)]
        rows.append([*row, f"{len(relative) / runs:.0%}", share(capped) if capped else ""])
    head = ["95 % interval", "plain", "adjusted", "width, adjusted / plain", "relative (Fieller, adjusted)"]
    table([*head, "relative exists", "plain, capped at 99 %"], rows)


def other_intervals(runs: int, first: int) -> None:
    rng = np.random.default_rng(first + 10)
    rows, names = [], np.array(["control", "a", "b", "c", "d"])
    alike, best, parts, harm, curve = [], [], [], [], []
    shares = pd.DataFrame(np.tile([0.2] * 5, (5_000, 1)), columns=names)
    gains = np.array([0.0, 0.01, 0.01, 0.02, 0.03])
    for _ in range(runs):
        arm = rng.integers(5, size=5_000)
        none = compare_arms((rng.random(5_000) < 0.05).astype(float), names[arm], shares)
        some = compare_arms((rng.random(5_000) < 0.05 + gains[arm]).astype(float), names[arm], shares)
        alike.append(none.p_value < 0.05)
        truth = dict(zip(names, gains, strict=True))
        gap = truth[some.best] - truth[some.worst]
        best.append(some.difference.low <= gap <= some.difference.high)
        (y, action, chances, _), _ = campaign(20_000, rng, money=True, unequal=True)
        (split,) = revenue_parts(y, action, chances)
        more = 50 * (0.25 * 0.01 + 0.75 * 0.0025)
        parts.append([split.by_more_buyers.low <= more <= split.by_more_buyers.high])
        parts[-1].append(split.by_larger_amounts.low <= 0 <= split.by_larger_amounts.high)
        (y, action, chances, _), truth_rare = campaign(20_000, rng, money=False, unequal=True)
        interval = guardrail(y > 0, action, chances, arm="mail", margin=0.0).difference
        harm.append(interval.low <= truth_rare <= interval.high)
        back, end = rng.geometric(0.001, 5_000), rng.integers(5, 60, 5_000)
        found = return_curve(np.minimum(back, end), back <= end)
        curve.append(found.low[40] <= 1 - 0.999**40 <= found.high[40])
    rows.append(["four arms alike: Wald test at 5 % says they differ", share(alike), "5 %"])
    rows.append(["best minus worst of four arms, 0 to 2 points apart", share(best), "at least 95 %"])
    rows.append(["revenue by more buyers, unequal chances", share(np.array(parts)[:, 0]), "95 %"])
    rows.append(["revenue by larger amounts, unequal chances", share(np.array(parts)[:, 1]), "95 %"])
    rows.append(["guardrail, 0.5 % rare, unequal chances", share(harm), "95 %"])
    rows.append(["share who came back by day 40, half of the windows open", share(curve), "95 %"])
    table(["what", "measured", "stated"], rows)


def day_sums(y: np.ndarray) -> np.ndarray:
    """What `daily_sums` makes of amounts (days, 2, people) with chances of one half."""
    people = np.full(y.shape[:2], float(y.shape[2]))
    total, square = y.sum(axis=2), (y**2).sum(axis=2)
    return np.stack([people, (y != 0).sum(axis=2), 2 * people, 2 * total, 4 * people, 4 * total, 4 * square], axis=2)


def sequential(runs: int, first: int) -> None:
    rows = []
    for seed, (name, per_day, draw) in enumerate(
        [
            ("0.5 % rare, 2 x 400 a day", 400, lambda rng, size: (rng.random(size) < 0.005).astype(float)),
            ("5 %, 2 x 100 a day", 100, lambda rng, size: (rng.random(size) < 0.05).astype(float)),
            ("revenue, 2 x 400 a day", 400, lambda r, s: (r.random(s) < 0.02) * 50 * np.exp(r.normal(size=s) - 0.5)),
        ]
    ):
        rng = np.random.default_rng(first + 20 + seed)
        always, naive, last = [], [], []
        for _ in range(runs):
            sums = DaySums(range(60), day_sums(draw(rng, (60, 2, per_day))))
            bands = [b.difference for b in confidence_sequence(sums, tightest_at=2 * 60 * per_day)]
            always.append(any(b.low > 0 or b.high < 0 for b in bands))
            naive.append(any(abs(b.value) > 1.96 * b.standard_error for b in bands if np.isfinite(b.high)))
            last.append((bands[-1].high - bands[-1].low) / 2 / bands[-1].standard_error / 1.96)
        rows.append([name, share(always), share(naive), f"{np.mean(last):.2f}"])
    head = ["null experiments peeked at on 60 days", "false alarms, always-valid band (at most 5 %)"]
    table(
        [*head, "the same days by ordinary 95 % intervals", "width on the last day against an ordinary interval"], rows
    )


def sample_ratio(runs: int, first: int) -> None:
    rng = np.random.default_rng(first + 30)
    rows, halves = [], pd.DataFrame(0.5, index=range(100_000), columns=PAIR)

    def alarm(chance: np.ndarray | float, chances: pd.DataFrame) -> bool:
        sent = rng.random(len(chances)) < chance
        return not sample_ratio_test(PAIR[sent.astype(int)], chances).healthy

    people = 10_000
    for name, chance in (("halves", np.full(people, 0.5)), ("chances of 10 to 90 %", rng.uniform(0.1, 0.9, people))):
        chances = pd.DataFrame({"control": 1 - chance, "mail": chance})
        found = [alarm(chance, chances) for _ in range(runs)]
        rows.append([f"as planned, {name}, {people:,} people", share(found), "1 %", "", ""])
    few = max(runs // 10, 100)
    for name, chance in (("49 to 51", 0.51), ("2 % of the control missing, so 49.5 to 50.5", 1 / 1.98)):
        found = [alarm(chance, halves) for _ in range(few)]
        rows.append([f"{name}, 100,000 people", share(found), "over 90 %", *most_powerful(chance, len(halves))])
    unlike = []
    for _ in range(runs):
        (_, action, chances, X), _ = campaign(2_000, rng, money=False, unequal=True)
        unlike.append(balance_test(pd.DataFrame(X), action, chances).p_value < 0.01)
    name = "balance of what was known before, unequal chances, 2,000 people, at 1 %"
    rows.append([name, share(unlike), "1 %", "", ""])
    best = [f"most powerful {kind} test at 1 %" for kind in ("unbiased two-sided", "one-sided")]
    table(["alarms", "measured", "to reach", *best], rows)


def most_powerful(chance: float, n: int) -> list[str]:
    """Exact power against this chance where one half was planned: of the best unbiased test, and of the best of all.

    The best of all (Neyman and Pearson) knows the chance beforehand. Both reject counts beyond a bound, and at random
    those on it.
    """
    powers = []
    for alpha, sides in ((0.005, 2), (0.01, 1)):
        bound = stats.binom.isf(alpha, n, 0.5)
        on_it = (alpha - stats.binom.sf(bound, n, 0.5)) / stats.binom.pmf(bound, n, 0.5)
        powers.append(0.0)
        for share_sent in (chance, 1 - chance)[:sides]:
            powers[-1] += stats.binom.sf(bound, n, share_sent) + on_it * stats.binom.pmf(bound, n, share_sent)
    return [f"{power:.2%}" for power in powers]


def hillstrom(_: int, __: int) -> None:
    dataset = datasets.load("hillstrom")
    window = dataset.playbook.program.attribution_window_days
    frame = training_frame(dataset.customers, dataset.contacts, dataset.outcomes, window_days=window)
    propensity = logged_propensity(frame, all_actions(dataset.playbook.labels))
    known = dataset.customers.drop(columns=["customer_id"])
    columns = [c for c in known.columns if c in frame and frame[c].nunique() > 1 and frame[c].dtype.kind != "M"]
    X = pd.get_dummies(frame[columns], drop_first=True, dtype=float).to_numpy(dtype=float)
    rows = []
    for outcome in ("reactivated", "revenue"):
        for name in ("past spend alone", "all columns"):
            used = frame[["annual_value"]].to_numpy(dtype=float) if name == "past spend alone" else X
            y = frame[outcome].to_numpy(dtype=float)
            for found in lift(y, frame["action"], propensity, covariates=used):
                kept = [_unexplained(y, used, (frame["action"] == a).to_numpy()) for a in ("control", found.action)]
                variances = [y[frame["action"] == a].var() for a in ("control", found.action)]
                theory = np.sqrt(np.dot(kept, variances) / np.sum(variances))
                plain = found.unadjusted.standard_error
                figures = [f"{found.unadjusted.value:.4f} ± {plain:.4f}"]
                figures += [f"{found.difference:.4f} ± {found.standard_error:.4f}"]
                rows.append([outcome, found.action, f"{name} ({used.shape[1]})", *figures])
                rows[-1] += [f"{found.standard_error / plain:.4f}", f"{theory:.4f}"]
    head = ["outcome", "arm", "covariates", "plain ± error", "adjusted ± error", "errors' ratio", "sqrt(1 - R²)"]
    table(head, rows)


def _unexplained(y: np.ndarray, X: np.ndarray, mine: np.ndarray) -> float:
    """1 - R squared of least squares in one arm."""
    design = np.column_stack([np.ones(mine.sum()), X[mine]])
    residual = y[mine] - design @ np.linalg.lstsq(design, y[mine], rcond=None)[0]
    return float(residual.var() / y[mine].var())


def errors(runs: int, first: int) -> None:
    rng = np.random.default_rng(first + 50)
    rows = []
    for base, margin, n, m in ((0.001, 0.001, 20_000, 5_000), (0.003, 0.002, 20_000, 20_000), (0.02, 0.01, 2_000, 500)):
        pairs = np.column_stack([rng.binomial(n, base + margin, runs), rng.binomial(m, base, runs)])
        kept = [non_inferiority(x, n, y, m, margin=margin).kept is True for x, y in pairs]
        name = f"harm of exactly the margin called kept: {base:.1%} of {m:,}, margin {margin:.1%}, {n:,} contacted"
        rows.append([name, share(kept), "2.5 %"])
    shared = rng.normal(size=(runs, 1))
    for wrong in (0, 1, 2):
        z = np.sqrt(0.5) * (shared + rng.normal(size=(runs, 3))) + 4.0 * (np.arange(3) < wrong)
        p = 2 * stats.norm.sf(np.abs(z))
        found = [any(x <= 0.05 for x in holm(row)[wrong:]) for row in p]
        rows.append([f"Holm: any false finding, 3 arms, {wrong} of them work", share(found), "at most 5 %"])
    for kept_share in (1.0, 0.5):
        z = rng.normal(size=(runs, 4)) + np.array([4.0, 0.0, 0.0, 0.0])
        p = 2 * stats.norm.sf(np.abs(z))
        wrongly = []
        for row in p:
            found_by = gatekeeping(row[:2], row[2:], kept=kept_share)
            wrongly.append(min(found_by.primary[1], *found_by.secondary) <= 0.05)
        rows.append(
            [
                f"gatekeeping, kept={kept_share}, 1 of 2 arms works: any false one",
                share(wrongly),
                "at most 5 %",
            ]
        )
    shown, measured = [], []
    for _ in range(runs):
        effects = rng.normal(0.01, 0.004, 6)
        d = effects + rng.normal(0, 0.005, 6) - rng.normal(0, 0.003)
        best = int(d.argmax())
        shown.append(shrunk_effects(d, [np.hypot(0.005, 0.003)] * 6, 0.003).differences[best] - effects[best])
        measured.append(d[best] - effects[best])
    for name, x in (("as measured", measured), ("shrunk", shown)):
        error = f"{np.mean(x):.5f} ± {np.std(x) / np.sqrt(runs):.5f}"
        rows.append([f"best of 6 arms (true effects 0.010, sd 0.004): effect {name} less true", error, "0"])
    table(["error", "measured", "stated"], rows)


def power(runs: int, first: int) -> None:
    rng = np.random.default_rng(first + 60)
    rows = []
    for base, effect, parts, sides in (
        (0.005, 0.0025, (0.5, 0.5), 2),
        (0.005, 0.0025, (0.1, 0.9), 2),
        (0.005, 0.005, (0.1, 0.9), 1),
        (0.005, 0.0025, (0.25, 0.25, 0.25, 0.25), 2),
        (0.05, 0.01, (0.2, 0.8), 2),
    ):
        size = required_sample_size(base, effect, shares=parts, sides=sides)
        n = np.array(size.by_arm)
        for name in ["one arm works"] + (["all arms work"] if len(parts) > 2 else []):
            rates = base + effect * (np.arange(len(n)) == 1 if name == "one arm works" else np.arange(len(n)) > 0)
            p = rng.binomial(n, rates, (runs, len(n))) / n
            variance = p * (1 - p) / (n - 1)
            z = (p[:, 1:] - p[:, :1]) / np.sqrt(variance[:, 1:] + variance[:, :1])
            z = np.column_stack([unskewed_by_arm(z[:, k - 1], p[:, k], p[:, 0], n[k], n[0]) for k in range(1, len(n))])
            p_values = stats.norm.sf(z) if sides == 1 else 2 * stats.norm.sf(np.abs(z))
            found = [holm(row)[0] <= 0.05 for row in p_values]
            smallest = minimum_detectable_effect(size.people, base, shares=parts, sides=sides)
            figures = [f"{size.people:,}", f"{size.power:.1%}", share(found), f"{smallest:.5f}"]
            rows.append([f"{base:.1%} + {effect:.2%}", ", ".join(map(str, parts)), sides, name, *figures])
    head = ["outcome", "shares", "sides", "truth", "people", "planned power", "simulated power, Holm"]
    table([*head, "smallest effect by these people"], rows)


def unskewed_by_arm(t: np.ndarray, share: np.ndarray, control: np.ndarray, n: int, m: int) -> np.ndarray:
    """As `lift` does it."""
    return normalised(t, skewness_of_difference(share, control, (1 / n, 1 / m), (1 / n**2, 1 / m**2)))


SUBJECTS: dict[str, tuple[Callable[[int, int], None], int]] = {
    "coverage": (coverage, 2_000),
    "other_intervals": (other_intervals, 2_000),
    "sequential": (sequential, 1_000),
    "sample_ratio": (sample_ratio, 5_000),
    "hillstrom": (hillstrom, 1),
    "errors": (errors, 10_000),
    "power": (power, 10_000),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=list(SUBJECTS), default=list(SUBJECTS))
    parser.add_argument("--runs", type=int, help="experiments a row; by default as many as the figure needs")
    parser.add_argument("--first-seed", type=int, default=0, help="1000, say, for experiments that no table has seen")
    options = parser.parse_args()
    for name in options.only:
        subject, runs = SUBJECTS[name]
        start = time.monotonic()
        subject(options.runs or runs, options.first_seed)
        print(f"({name}: {options.runs or runs:,} experiments a row, {time.monotonic() - start:.0f} s)\n", flush=True)


if __name__ == "__main__":
    main()
