"""Campaigns under limits, and what must hold of every allocation."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from scipy.optimize import linprog

from propensity.contract import CONTROL
from propensity.policy import Allocation, Limit, best_action


def table(values, prefix="a"):
    values = np.asarray(values)
    return pd.DataFrame(values, columns=[f"{prefix}{k:02d}" for k in range(values.shape[1])])


def campaign(seed, n, n_actions, *, looseness=(0.02, 0.8), per_person=False, round_to=None):
    """Heavy-tailed values with a common part, a budget and three capacities of a share of what all would take."""
    rng = np.random.default_rng(seed)
    mix = rng.random()
    drawn = np.sqrt(mix) * rng.normal(size=(n, 1)) + np.sqrt(1 - mix) * rng.normal(size=(n, n_actions))
    values = np.exp(1.3 * drawn) - rng.random()
    if round_to is not None:
        values = np.round(values / round_to) * round_to
    value, allowed = table(values), table(rng.random((n, n_actions)) < 0.7)
    channel = np.arange(n_actions) % 4
    cost = np.array([0.05, 0.5, 1.2, 5.0])[channel] + rng.choice([0.0, 1.0], n_actions)
    uses = [cost * rng.lognormal(0, 0.4, (n, 1)) if per_person else cost, *(1.0 * (channel == c) for c in (1, 2, 3))]
    chosen = value.columns.get_indexer(best_action(value, allowed))
    served = np.flatnonzero(chosen >= 0)
    shares = np.exp(rng.uniform(*np.log(looseness), 4))
    limits = []
    for name, use, share in zip(["budget", "ads", "letters", "calls"], uses, shares, strict=True):
        amount = share * np.broadcast_to(use, value.shape)[served, chosen[served]].sum()
        limits.append(Limit(name, amount if name == "budget" else np.ceil(amount), use))
    return value, allowed, limits


def with_amount(limits, name, amount):
    return [Limit(limit.name, amount if limit.name == name else limit.amount, limit.use) for limit in limits]


def linear_program(value, allowed, limits):
    """The value of splitting people at will, and the limits' dual prices."""
    values = value.to_numpy()
    person, action = np.nonzero(allowed.to_numpy() & (values > 0))
    if not len(person):
        return 0.0, np.zeros(len(limits))
    one_each = sp.csr_array((np.ones(len(person)), (person, np.arange(len(person)))), shape=(len(values), len(person)))
    use = np.array([np.broadcast_to(limit.use, values.shape)[person, action] for limit in limits])
    found = linprog(
        -values[person, action],
        A_ub=sp.vstack([one_each, sp.csr_array(use.reshape(len(limits), len(person)))], format="csr"),
        b_ub=np.r_[np.ones(len(values)), [limit.amount for limit in limits]],
    )
    assert found.success
    return -found.fun, -found.ineqlin.marginals[len(values) :]


def worth_and_use(value, limits, action):
    """Each person's value, and what all take of each limit."""
    column = value.columns.get_indexer(action)
    served = np.flatnonzero(column >= 0)
    worth = np.zeros(len(value))
    worth[served] = value.to_numpy()[served, column[served]]
    return worth, [float(np.broadcast_to(lim.use, value.shape)[served, column[served]].sum()) for lim in limits]


def check(value, allowed, limits, plan):
    """What must hold of every allocation."""
    assert isinstance(plan, Allocation)
    assert plan.action.shape == (len(value),)
    column = value.columns.get_indexer(plan.action)
    assert ((column >= 0) == (plan.action != CONTROL)).all()
    served = np.flatnonzero(column >= 0)
    assert allowed[value.columns].to_numpy()[served, column[served]].all()
    worth, used = worth_and_use(value, limits, plan.action)
    assert (worth[served] > 0).all()
    assert plan.value == pytest.approx(worth.sum())
    assert plan.value <= plan.upper_bound
    assert list(plan.prices) == list(plan.used) == list(plan.limits) == [limit.name for limit in limits]
    for limit, units in zip(limits, used, strict=True):
        assert plan.used[limit.name] == pytest.approx(units)
        assert plan.used[limit.name] <= limit.amount
        assert plan.prices[limit.name] >= 0
