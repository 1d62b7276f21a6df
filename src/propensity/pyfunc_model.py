"""What MLflow loads when somebody asks it for a registered model: customers in, decisions out."""

from __future__ import annotations

from typing import Any

import mlflow.pyfunc
import pandas as pd
from mlflow.models import set_model

from propensity.ledger import decision_answers
from propensity.model import DecisionModel


class DecisionPyfunc(mlflow.pyfunc.PythonModel):
    """The decision model behind MLflow's own interface."""

    def load_context(self, context: Any) -> None:
        """Read the model's text files."""
        self.model = DecisionModel.load(context.artifacts["decision_model"])

    def predict(self, context: Any, model_input: pd.DataFrame, params: dict[str, Any] | None = None) -> pd.DataFrame:
        """Dry-run decisions (n, 26) for checked customers, at the newest ``as_of`` among them."""
        decisions = self.model.decide(model_input, at=model_input["as_of"].max(), dry_run=True)
        return pd.DataFrame(decision_answers(decisions), index=model_input.index)


set_model(DecisionPyfunc())
