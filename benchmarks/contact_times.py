"""How often is a best time of contact claimed where times make no difference, and found where they do?

`python benchmarks/contact_times.py --runs 200`. Each run simulates messages from its own seed, 0, 1, 2, ...; no seed is
left out. People, messages, weeks and single days differ in all of them. Beside it stands what a plain comparison of
shares would claim: each time against all others, allowing for as many comparisons.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter

import numpy as np
import pandas as pd
from scipy import stats

from propensity import playbook
from propensity.contact_times import LEVEL, ContactTimes
from propensity.simulation.sends import Gain, no_difference, sent_messages

Tables = tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--found-runs", type=int, default=50)
    options = parser.parse_args()

    show("no difference, 8,000 messages, 12 weeks, habits", options.runs, 8_000, no_difference, weeks=12)
    show("no difference, 20,000 messages, 26 weeks", options.runs, 20_000, no_difference, weeks=26, habits=False)
    for share in (0.02, 0.04):
        for n in (8_000, 20_000):
            show(
                f"8 to 12 brings {100 * share:g} points more, {n:,} messages, 12 weeks",
                options.found_runs,
                n,
                lambda day, hour, share=share: share * ((hour >= 8) & (hour < 12)),
                weeks=12,
                habits=False,
            )
    show(
        "Tuesday brings 5 points more, 20,000 messages, 26 weeks",
        options.found_runs,
        20_000,
        lambda day, hour: 0.05 * (day == 1),
        weeks=26,
        habits=False,
    )


def show(title: str, runs: int, n: int, gain: Gain, **options: int | bool) -> None:
    """Print what was claimed in how many runs."""
    book, start = playbook.load("default"), time.monotonic()
    claimed: Counter[str] = Counter()
    plain = 0
    for seed in range(runs):
        tables = sent_messages(n, gain, seed=seed, **options)  # type: ignore[arg-type]
        best = ContactTimes.fit(*tables, book).best.get("email")
        claimed["none" if best is None else f"day {best.weekday}, hours {best.hours}"] += 1
        plain += plain_comparison(tables)
    told = ", ".join(f"{what}: {count / runs:.1%}" for what, count in claimed.most_common())
    print(
        f"{title} ({runs} runs, {time.monotonic() - start:.0f} s): {told}; plain comparison claims {plain / runs:.1%}"
    )


def plain_comparison(tables: Tables) -> bool:
    """Whether some time's share of answers is larger than that of all others by a plain test of two shares."""
    _, outcomes, customers = tables
    sent = outcomes[outcomes["type"] == "sent"]
    answered = sent["decision_id"].isin(outcomes.loc[outcomes["type"] == "opened", "decision_id"]).to_numpy()
    clock = sent["at"].dt.tz_convert(customers["time_zone"].iloc[0]).dt
    day, block = clock.day_of_week.to_numpy(), clock.hour.to_numpy() // 4
    times = [day == d for d in range(7)] + [block == b for b in range(6)]
    times += [(day == d) & (block == b) for d in range(7) for b in range(6)]
    spread = answered.std()
    z = [(answered[t].mean() - answered[~t].mean()) / (spread * np.sqrt(1 / t.sum() + 1 / (~t).sum())) for t in times]
    return max(z) > stats.norm.isf(LEVEL / len(times))


if __name__ == "__main__":
    main()
