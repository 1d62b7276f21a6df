"""Effects by segment of held-out people, corrected for how many segments were looked at."""

from __future__ import annotations

import pandas as pd

from propensity.assessment import PEOPLE
from propensity.evaluation import mean_estimate, segment_effects
from propensity.held_out import HeldOutPeople
from propensity.model import DecisionModel
from propensity_training.report.contents import FOUND_BELOW, Segments

_PER_PERSON = ("effect", "standard_error", "low", "high", "difference")


def segments(model: DecisionModel, people: HeldOutPeople) -> Segments | None:
    """Effects by level of each feature that the model sees; None where it sees none.

    A feature that the program has a segment for is cut as conditions of the playbook cut it.
    """
    X = _cut(model, people.frame)[people.reachable]
    if X.shape[1] == 0:
        return None
    weight = people.weight[people.reachable]
    found = segment_effects(people.observed_gain, X, weight=weight)
    found[list(_PER_PERSON)] *= PEOPLE
    tested = found[found["p_value"].notna()].sort_values(["p_adjusted", "p_value"], kind="stable")
    rows = [{str(k): v for k, v in row.items()} for row in tested.to_dict(orient="records")]
    return Segments(
        n_features=X.shape[1],
        n_tested=len(tested),
        n_too_small=len(found) - len(tested),
        n_found=int((tested["p_adjusted"] < FOUND_BELOW).sum()),
        overall=mean_estimate(people.observed_gain, weight=weight).times(PEOPLE),
        rows=rows,
    )


def _cut(model: DecisionModel, frame: pd.DataFrame) -> pd.DataFrame:
    X = model.features.transform(frame, frame["decided_at"])
    named, cuts = model.segments.transform(frame, frame["decided_at"]), model.segments.cuts
    return pd.DataFrame({cuts.get(name, name): named[cuts[name]] if name in cuts else X[name] for name in X})
