"""Preference pairs from answers of the policy itself, and DPO on tool tasks in rounds (see `training.preference`)."""

#: Raised when the code of a round changes what model it makes.
CODE = "1"
