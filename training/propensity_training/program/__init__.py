"""The whole loop in a simulated world: waves, retraining, promotion, drift; and what else a company could do."""
