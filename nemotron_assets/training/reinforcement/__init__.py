"""GRPO on rollouts of the current weights, for every stage that trains with rollouts.

- `columns` declares a table of rollouts; `plan` plans a training; `worker` runs it in the training process.
- `trainer` is TRL's trainer on such rollouts; `asking` chooses and asks prompts, `policies` samples the answers,
  `grading` gives rewards: from verifiers, or from the model with a scalar head in `reward`.
- `storing` stores the rollouts; `audit` and `report` read them again.
"""
