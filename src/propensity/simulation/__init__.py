"""A win-back program with known truth: simulated customers, randomised contacts, outcomes, and what caused them."""

from propensity.simulation.program import DECIDED_AT, SimulatedProgram, SimulationError, Truth, simulate, write

__all__ = ["DECIDED_AT", "SimulatedProgram", "SimulationError", "Truth", "simulate", "write"]
