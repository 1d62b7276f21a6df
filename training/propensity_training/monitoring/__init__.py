"""`propensity monitor`: what a ledger and a model hold is gathered, checked and shown. The checks are the core's."""
