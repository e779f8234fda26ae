"""Reinforcement learning: GRPO against verifiers, a reward model from preference pairs, and GRPO against it.

- `training` plans the trainings; `worker` and `reward_worker` run them in the training process, with TRL's trainers.
- `trainer` is GRPO on rollouts of the current weights; `asking` samples them, `grading` gives their rewards.
- `reward` is the model with a scalar head; `storing` stores the rollouts; `audit` grades stored rollouts again.
"""

#: Raised when the code of a training changes what model it makes.
CODE = "1"
