"""Preference pairs from answers of the policy itself, and DPO on tool tasks in rounds.

- `pairs` turns graded answers into pairs.
- `training` plans the rounds; `worker` runs one of them in the training process, with TRL's DPOTrainer.
"""

#: Raised when the code of a round changes what model it makes.
CODE = "1"
