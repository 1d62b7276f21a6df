"""Learners of the effect of contact, one file a learner."""
