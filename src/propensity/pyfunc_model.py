"""What MLflow loads when somebody asks it for a registered model: customers in, decisions out."""

from __future__ import annotations

from typing import Any

import mlflow.pyfunc
import pandas as pd
from mlflow.models import set_model

from propensity import contract
from propensity.features import required_columns
from propensity.ledger import decision_answers
from propensity.model import DecisionModel


class DecisionPyfunc(mlflow.pyfunc.PythonModel):
    """The decision model behind MLflow's own interface."""

    def load_context(self, context: Any) -> None:
        """Read the model's text files."""
        self.model = DecisionModel.load(context.artifacts["decision_model"])

    def predict(self, context: Any, model_input: pd.DataFrame, params: dict[str, Any] | None = None) -> pd.DataFrame:
        """Dry-run decisions (n, 26) for customers, at the newest ``as_of`` among them; faulty ones raise."""
        wanted = required_columns(self.model.playbook)
        lacking = {c.name: None for c in wanted if c.name not in model_input}
        customers = contract.check("customers", model_input.assign(**lacking), extra=wanted).good
        decisions = self.model.decide(customers, at=customers["as_of"].max(), dry_run=True)
        return pd.DataFrame(decision_answers(decisions), index=model_input.index)


set_model(DecisionPyfunc())
