"""How near to the best possible is `propensity.policy.allocate`, and how long does it take for a million people?

`python benchmarks/allocation.py --against-lp --seeds 12`: 20,000 people, 24 actions, a budget and three capacities.
Each seed from 0 on draws a campaign anew: how heavy the tails of the values are, how far a person's values go together,
who may get what, and each limit between 1 % and 120 % of what everybody's best action would take. Values are
continuous, rounded to whole currency, or the same for everybody, in turns. The optimum is that of the linear program,
which may split people (HiGHS through scipy).

`python benchmarks/allocation.py --people 1000000`: time, the gap to the bound, and peak memory of the whole process,
the simulated campaign included. With `--own-spend` each person's spend is their own.
"""

from __future__ import annotations

import argparse
import resource
import time

import numpy as np
import pandas as pd
import scipy.sparse as sp
from scipy.optimize import linprog

from propensity.policy import Limit, allocate, best_action

N_ACTIONS = 24
CHANNEL_COST = np.array([0.02, 0.06, 0.12, 1.2, 5.0])
CAPACITIES = {"ads": 2, "letters": 3, "calls": 4}
KINDS = ("continuous", "whole currency", "same for all")
LOOSENESS = (0.01, 1.2)


def campaign(
    seed: int, n: int, kind: str = KINDS[0], own_spend: bool = False
) -> tuple[pd.DataFrame, pd.DataFrame, list[Limit]]:
    rng = np.random.default_rng(seed)
    actions = [f"action {k:02d}" for k in range(N_ACTIONS)]
    tail, common, threshold = rng.uniform(0.3, 2.0), rng.random(), rng.uniform(0, 1.5)
    values = rng.normal(size=(n, N_ACTIONS)) * np.sqrt(1 - common)
    values += np.sqrt(common) * rng.normal(size=(n, 1))
    values *= tail
    np.exp(values, out=values)
    values += rng.normal(0, 0.2, N_ACTIONS) - threshold
    if kind == "whole currency":
        np.round(values, out=values)
    if kind == "same for all":
        values[:] = np.round(rng.exponential(2.0, N_ACTIONS), 1)
    net_value = pd.DataFrame(values, columns=actions, copy=False)
    allowed = pd.DataFrame(rng.random((n, N_ACTIONS), dtype=np.float32) < rng.uniform(0.2, 1), columns=actions)
    channel = np.arange(N_ACTIONS) % len(CHANNEL_COST)
    spend = CHANNEL_COST[channel] + rng.choice([0.0, 0.5, 2.0], N_ACTIONS)
    use: dict[str, np.ndarray] = {name: (channel == c).astype(float) for name, c in CAPACITIES.items()}
    use = {"budget": spend * rng.lognormal(0, 0.5, (n, 1)) if own_spend else spend, **use}
    best = net_value.columns.get_indexer(best_action(net_value, allowed))
    served = np.flatnonzero(best >= 0)
    limits = []
    for name, units in use.items():
        wanted = np.broadcast_to(units, (n, N_ACTIONS))[served, best[served]].sum()
        amount = wanted * np.exp(rng.uniform(*np.log(LOOSENESS)))
        limits.append(Limit(name, float(amount if name == "budget" else np.ceil(amount)), units))
    return net_value, allowed, limits


def optimum_of_linear_program(net_value: pd.DataFrame, allowed: pd.DataFrame, limits: list[Limit]) -> float:
    values = net_value.to_numpy()
    person, action = np.nonzero(allowed.to_numpy() & (values > 0))
    columns = np.arange(len(person))
    one_each = sp.csr_array((np.ones(len(person)), (person, columns)), shape=(len(values), len(person)))
    use = np.array([np.broadcast_to(limit.use, values.shape)[person, action] for limit in limits])
    found = linprog(
        -values[person, action],
        A_ub=sp.vstack([one_each, sp.csr_array(use)], format="csr"),
        b_ub=np.r_[np.ones(len(values)), [limit.amount for limit in limits]],
    )
    if not found.success:
        raise RuntimeError(f"the linear program failed: {found.message}")
    return float(-found.fun)


def against_linear_program(n_seeds: int, n: int) -> None:
    print(f"{n:,} people, {N_ACTIONS} actions\n")
    print("| seed | values | contacted | value | share of the optimum | bound / optimum - 1 | seconds | LP's seconds |")
    print("|---|---|---|---|---|---|---|---|")
    shares = []
    for seed in range(n_seeds):
        kind = KINDS[seed % len(KINDS)]
        case = campaign(seed, n, kind)
        start = time.perf_counter()
        plan = allocate(*case)
        seconds = time.perf_counter() - start
        start = time.perf_counter()
        optimum = optimum_of_linear_program(*case)
        lp_seconds = time.perf_counter() - start
        shares.append(plan.value / optimum)
        contacted = int((plan.action != "control").sum())
        print(
            f"| {seed} | {kind} | {contacted:,} | {plan.value:,.1f} | {shares[-1]:.4%} | "
            f"{plan.upper_bound / optimum - 1:.0e} | {seconds:.2f} | {lp_seconds:.1f} |",
            flush=True,
        )
    n_short = sum(share < 0.999 for share in shares)
    print(f"\nleast share {min(shares):.4%}; below 99.9 % in {n_short} of {n_seeds}")


def at_scale(n: int, own_spend: bool) -> None:
    case = campaign(0, n, own_spend=own_spend)
    before = peak_mb()
    start = time.perf_counter()
    plan = allocate(*case)
    seconds = time.perf_counter() - start
    print(plan.summary().to_string(index=False))
    print(
        f"{n:,} people, {N_ACTIONS} actions, {len(plan.limits)} limits{', own spend' if own_spend else ''}: "
        f"{seconds:.1f} s; value {plan.value:,.0f}, at most {plan.gap_share:.1e} below the best; "
        f"peak memory {peak_mb():,.0f} MB, of which {before:,.0f} MB to make the campaign"
    )


def peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--against-lp", action="store_true")
    what.add_argument("--people", type=int)
    parser.add_argument("--seeds", type=int, default=12)
    parser.add_argument("--size", type=int, default=20_000, help="people of each campaign against the linear program")
    parser.add_argument("--own-spend", action="store_true")
    options = parser.parse_args()
    if options.against_lp:
        against_linear_program(options.seeds, options.size)
    else:
        at_scale(options.people, options.own_spend)


if __name__ == "__main__":
    main()
