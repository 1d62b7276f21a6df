"""What would waves of very many people take and cost? `python benchmarks/scale_sums.py --people 100e6 --core-hour 0.04
--gb-month 0.02`.

Prices are yours. What one person takes was measured by `scoring_parts.py` on the simulated program
(docs/benchmarks.md); give your own figures where yours differ. Nothing is run here.

    core hours a wave   = people x (scoring + before + together) / 3600 s
    hours a wave        = people x (before + max(scoring / cores, together)) / 3600 s, and some seconds for the prices
    compute a month     = waves x core hours x price of a core hour
    storage             = people x (bytes of a customer + waves x months kept x bytes of a decision)
    memory              = 1 GB + 32 bytes a person, of the process that puts together
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass

SCORING = 99.0
"""Microseconds of a core to score a person."""
BEFORE, TOGETHER = 5.7, 6.3
"""Microseconds of the one process: to count and check a person beforehand, and to put their decision to the others."""
CUSTOMER_BYTES, DECISION_BYTES = 37.0, 101.0
"""Of a row of the simulated program's customers, and of a decision with all its columns, in Parquet."""
BASE_GB = 1.0
PERSON_BYTES = 32.0
"""By which memory grew from one to twenty million people."""


@dataclass(frozen=True)
class Sums:
    core_hours: float
    hours: float
    compute_month: float
    storage_gb: float
    storage_month: float
    memory_gb: float


def sums(
    people: float,
    core_hour: float,
    gb_month: float,
    *,
    cores: float = 1,
    waves: float = 4,
    months: float = 12,
    scoring: float = SCORING,
    before: float = BEFORE,
    together: float = TOGETHER,
    customer_bytes: float = CUSTOMER_BYTES,
    decision_bytes: float = DECISION_BYTES,
) -> Sums:
    """The module's formulas; microseconds of a core, bytes, and prices in one currency."""
    core_hours = people * (scoring + before + together) / 3.6e9
    storage_gb = people * (customer_bytes + waves * months * decision_bytes) / 1e9
    return Sums(
        core_hours=core_hours,
        hours=people * (before + max(scoring / cores, together)) / 3.6e9,
        compute_month=waves * core_hours * core_hour,
        storage_gb=storage_gb,
        storage_month=storage_gb * gb_month,
        memory_gb=BASE_GB + PERSON_BYTES * people / 1e9,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--people", type=float, nargs="+", default=[1e6, 20e6, 100e6])
    parser.add_argument("--core-hour", type=float, required=True, help="price of a core for an hour")
    parser.add_argument("--gb-month", type=float, required=True, help="price of a GB stored for a month")
    parser.add_argument("--cores", type=float, nargs="+", default=[1, 4, 16], help="for workers that score")
    parser.add_argument("--waves", type=float, default=4, help="a month")
    parser.add_argument("--months", type=float, default=12, help="that decisions are kept")
    parser.add_argument("--scoring", type=float, default=SCORING, help="microseconds of a core a person")
    parser.add_argument("--before", type=float, default=BEFORE, help="likewise, of the one process, beforehand")
    parser.add_argument("--together", type=float, default=TOGETHER, help="likewise, of the one process, in order")
    parser.add_argument("--customer-bytes", type=float, default=CUSTOMER_BYTES)
    parser.add_argument("--decision-bytes", type=float, default=DECISION_BYTES)
    options = vars(parser.parse_args())
    people, cores = options.pop("people"), options.pop("cores")
    print(
        "| people | cores | core hours a wave | hours a wave | compute a month | GB stored | storage a month | memory |"
    )
    print("|---|---|---|---|---|---|---|---|")
    for n in people:
        for c in cores:
            x = sums(n, options["core_hour"], options["gb_month"], cores=c, **_others(options))
            print(
                f"| {n:,.0f} | {c:g} | {x.core_hours:,.2f} | {x.hours:,.2f} | {x.compute_month:,.2f} | "
                f"{x.storage_gb:,.1f} | {x.storage_month:,.2f} | {x.memory_gb:.1f} GB |"
            )


def _others(options: dict[str, float]) -> dict[str, float]:
    return {name: value for name, value in options.items() if name not in ("core_hour", "gb_month")}


if __name__ == "__main__":
    main()
