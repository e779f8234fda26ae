"""Reinforcement learning: GRPO against verifiers, a reward model from preference pairs, and GRPO against it.

- `training` plans the trainings; `training.reinforcement` runs those with rollouts.
- `reward_worker` trains the reward model in the training process, with TRL's trainer, on `pairs`.
- `audit` grades stored rollouts again.
"""

#: Raised when the code of a training changes what model it makes.
CODE = "3"
