"""What is worked out once for several outcomes, or shortened where chances are equal, is what it is one by one."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from propensity.inference import Adjustment, Covariates, any_contact, balance_test, compare_arms, lift

ARMS = ["control", "email", "sms"]


@pytest.fixture(params=["equal", "unequal", "not for all"])
def people(request):
    """Three outcomes of 3,000 people, what they got and with what chance, and what was known of them."""
    rng, n = np.random.default_rng(7), 3_000
    table = pd.DataFrame({"value": rng.gamma(2, 50, n), "visits": rng.poisson(3, n).astype(float)})
    table.loc[rng.random(n) < 0.1, "value"] = np.nan
    chances = np.full((n, 3), 1 / 3)
    if request.param != "equal":
        chances = rng.dirichlet([5, 5, 5], n)
    if request.param == "not for all":
        chances[: n // 4] = [0.5, 0.5, 0.0]
    arm = (rng.random(n)[:, None] > chances.cumsum(axis=1)).sum(axis=1)
    known = table["visits"].to_numpy()
    outcomes = [(rng.random(n) < 0.05 + 0.02 * arm).astype(float), rng.normal(known + arm), rng.gamma(1, 1 + known)]
    return outcomes, np.array(ARMS)[arm], pd.DataFrame(chances, columns=ARMS), table


def test_outcomes_adjusted_together_are_those_adjusted_one_by_one(people):
    outcomes, action, chances, table = people
    together = Adjustment(table, outcomes)
    contact = any_contact(action, chances)
    # one that was not announced, too
    for y in [*outcomes, outcomes[0] + outcomes[1]]:
        for made, alone in (
            (lift(y, action, chances, covariates=together), lift(y, action, chances, covariates=table)),
            (lift(y, *contact, covariates=together), lift(y, *contact, covariates=table)),
        ):
            assert all(x.adjusted for x in made)
            for x, other in zip(made, alone, strict=True):
                assert (x.difference, x.standard_error) == pytest.approx((other.difference, other.standard_error))
        found, other = (compare_arms(y, action, chances, covariates=c) for c in (together, table))
        assert (found.best, found.worst, found.people) == (other.best, other.worst, other.people)
        assert found.statistic == pytest.approx(other.statistic)


def test_columns_in_small_types_are_the_table(people):
    outcomes, action, chances, table = people
    columns = (table["value"].to_numpy().astype(np.float32), table["visits"].to_numpy().astype(np.int8))
    small = Covariates(("value", "visits"), columns, len(table))
    same = table.assign(value=columns[0].astype(float))
    made, whole = (lift(outcomes[1], action, chances, covariates=c)[0] for c in (small, same))
    assert (made.difference, made.standard_error) == (whole.difference, whole.standard_error)


def test_balance_is_the_chi_square_of_its_definition(people):
    _, action, chances, table = people
    x = table.fillna(table.mean())
    x = ((x - x.mean()) / x.std(ddof=0)).to_numpy()
    p = chances.to_numpy()
    gap, covariance = np.zeros((3, 2)), np.zeros((6, 6))
    for drawn, chance, row in zip((action[:, None] == np.array(ARMS)).astype(float), p, x, strict=True):
        gap += np.outer(drawn - chance, row)
        covariance += np.kron(np.diag(chance) - np.outer(chance, chance), np.outer(row, row))
    statistic = gap.ravel() @ np.linalg.pinv(covariance, rcond=1e-10, hermitian=True) @ gap.ravel()
    assert balance_test(table, action, chances).statistic == pytest.approx(statistic, rel=1e-6)
