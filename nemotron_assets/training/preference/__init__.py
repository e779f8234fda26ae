"""DPO on pairs of answers of the policy itself, in rounds, for every stage that trains with pairs.

- `columns` declares a table of pairs; `pairs` turns graded answers into pairs.
- `rounds` runs the rounds; `worker` runs one of them in the training process, with TRL's DPOTrainer.
"""
