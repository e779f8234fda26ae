"""GRPO with TRL's GRPOTrainer, on rollouts that this project samples, grades and stores.

A step samples rollouts of its prompts with the current weights, whose hash is part of each rollout's key: a stale
rollout cannot be used. The trainer then scores the same tokens. What sampler and trainer say of them is stored, and
their difference is a metric of the step. Forced tokens, and rollouts without a reward, do not take part in the update.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from trl import GRPOConfig, GRPOTrainer

from nemotron_assets.model.nemotron_h import attach
from nemotron_assets.model.scored import score_labels
from nemotron_assets.recipe.align.reinforcement import Grpo
from nemotron_assets.rollouts.policy import Ask, Policy, Rollout
from nemotron_assets.training.reinforcement.asking import Prompt
from nemotron_assets.training.reinforcement.banned import BannedTokens
from nemotron_assets.training.reinforcement.columns import STOPPED, TRAIN
from nemotron_assets.training.reinforcement.grading import Graded, Grader, GradingFailed, check_errors
from nemotron_assets.training.with_trl import HouseRules, arguments

if TYPE_CHECKING:
    from pathlib import Path

    from datasets import Dataset
    from transformers import NemotronHForCausalLM, PreTrainedTokenizerBase

    from nemotron_assets.chat.budget.tags import Tags

#: The logs of the trainer that become rows of models.training_metrics, beside the loss.
MEASURES = (
    "reward", "reward_std", "frac_reward_zero_std", "kl_to_start", "entropy", "completions/mean_length",
    "completions/clipped_ratio", "clip_ratio/region_mean", "disagreement/mean", "disagreement/max", "errors",
    "rollouts/new", "rollouts/tokens_per_second",
)  # fmt: skip

#: The policy of a model with its current weights.
PolicyOf = Callable[["NemotronHForCausalLM"], Policy]


@dataclass
class Sampled:
    """The rollouts of a step on this device, with their prompts and rewards, in the order of the batch."""

    prompts: list[Prompt]
    rollouts: list[Rollout]
    graded: list[Graded]


def grpo_settings(run: Grpo, folder: Path, temperature: float) -> GRPOConfig:
    """The configuration of TRL's trainer."""
    return GRPOConfig(
        **arguments(run, folder, run.steps, run.rollouts_per_step, run.micro_batch),
        num_generations=run.group,
        max_completion_length=run.max_tokens,
        shuffle_dataset=False,  # the data are in the order of the steps
        beta=run.kl,
        epsilon=run.clip_low,
        epsilon_high=run.clip_high,
        loss_type=run.loss,
        scale_rewards=run.scale,
        temperature=temperature,
        top_p=1.0,
        top_k=0,
    )


class RolloutTrainer(HouseRules, GRPOTrainer):
    """TRL's trainer with rollouts of this project.

    `dataset` has the column prompt: the place of a prompt in `prompts`, as text, in the order of the steps. Set
    `prompts` and `grader` before the training. `record`
    gets (step, sampled, columns, split) after each sampling. `start` is the model before the training, to measure the
    divergence from it; None: it is not measured.
    """

    def __init__(
        self,
        model: NemotronHForCausalLM,
        start: NemotronHForCausalLM | None,
        tokenizer: PreTrainedTokenizerBase,
        dataset: Dataset,
        *,
        run: Grpo,
        stage: str,
        folder: Path,
        policy_of: PolicyOf,
        record: Callable[[int, Sampled, dict[str, list], str], None],
        tags: Tags,
        temperature: float = 1.0,
    ) -> None:
        self.run, self.stage, self._policy_of, self._record = run, stage, policy_of, record
        self.prompts: Sequence[Prompt] = ()
        self.grader: Grader | None = None
        model.generation_config.eos_token_id = sorted(tags.ends)
        super().__init__(
            attach(model),
            reward_funcs=[reward],
            args=grpo_settings(run, folder, temperature),
            train_dataset=dataset,
            processing_class=tokenizer,
            rollout_func=self._sample,
        )
        self.start = self.ref_model
        if self.start is None and start is not None:
            self.start = self.accelerator.prepare_model(start, evaluation_mode=True)
        for scored in (self.model, self.start):
            if scored is not None:
                score_labels(attach(scored), temperature)
        self.banned = BannedTokens(tags, model.config.vocab_size, run.max_tokens, self.accelerator.device)
        self._banned_here: torch.Tensor | None = None  # for the rollouts that are scored next

    def policy(self) -> Policy:
        """The policy with the current weights."""
        return self._policy_of(self.accelerator.unwrap_model(self.model))

    def _sample(self, names: list[str], trainer: GRPOTrainer) -> dict[str, list]:
        """Sample and grade the rollouts of these prompts (TRL's rollout_func)."""
        prompts, first, seen = [self.prompts[int(name)] for name in names], self.accelerator.process_index, Counter()
        asks: list[Ask] = []
        for prompt in prompts:
            # A group may lie on several devices, so each has numbers of its own.
            asks.append(prompt.ask(first * len(names) + seen[prompt.ids], self.stage, self.run))
            seen[prompt.ids] += 1
        clock = time.perf_counter()
        rollouts = list(self.policy().rollouts(asks))
        seconds = time.perf_counter() - clock
        graded = self.grader.grade(list(zip(prompts, rollouts, strict=True)))
        self._sampled, self._banned_here = Sampled(prompts, rollouts, graded), self.banned.of(rollouts)
        new = [rollout for rollout in rollouts if rollout.new]
        self._measure("errors", sum(one.value is None for one in graded))
        self._measure("rollouts/new", len(new))
        self._measure("rollouts/tokens_per_second", sum(len(rollout.tokens) for rollout in new) / max(seconds, 1e-9))
        return {
            "prompt_ids": [list(prompt.ids) for prompt in prompts],
            "completion_ids": [rollout.tokens for rollout in rollouts],
            "logprobs": [rollout.logprobs for rollout in rollouts],
            "env_mask": [_trained(*pair) for pair in zip(rollouts, graded, strict=True)],
            "reward": [one.value for one in graded],
        }

    def _generate_and_score_completions(self, inputs: list[dict[str, Any]]) -> dict[str, Any]:
        """As TRL does it; then score the tokens with trainer and start, and record the rollouts."""
        output = super()._generate_and_score_completions(inputs)
        sampled, step = self._sampled, self.state.global_step + 1
        with torch.no_grad():
            own = output.get("old_per_token_logps")
            own = self._scores(self.model, output) if own is None else own
            start = self._scores(self.start, output) if self.start is not None else None
        output["old_per_token_logps"] = own
        if self._banned_here is not None:
            output["banned"] = self._banned_here
        columns = {"trainer_logprobs": [], "kl": [], "advantage": output["advantages"].tolist()}
        differences = []
        for number, rollout in enumerate(sampled.rollouts):
            scores = own[number, : len(rollout.tokens)].float().cpu()
            free = ~torch.tensor(rollout.forced)
            differences.append((scores - torch.tensor(rollout.logprobs)).abs()[free])
            columns["trainer_logprobs"].append(scores.tolist())
            columns["kl"].append(_divergence(start, scores, number, free))
        together = torch.cat(differences) if differences else torch.zeros(1)
        together = together if len(together) else torch.zeros(1)
        self._measure("disagreement/mean", together.mean().item())
        self._measure("disagreement/max", together.max().item())
        if start is not None:
            known = [value for value in columns["kl"] if value is not None]
            self._measure("kl_to_start", sum(known) / max(1, len(known)))
        try:
            check_errors(sampled.graded, self.run.most_errors, self.stage, step)
        except GradingFailed:
            self._record(step, sampled, columns, STOPPED)
            raise
        self._record(step, sampled, columns, TRAIN)
        return output

    def _scores(self, model: torch.nn.Module, output: dict[str, Any]) -> torch.Tensor:
        """The log-probabilities of the completions' tokens, [rollouts, longest completion]."""
        ids = torch.cat([output["prompt_ids"], output["completion_ids"]], dim=1)
        mask = torch.cat([output["prompt_mask"], output["completion_mask"]], dim=1)
        longest, batch = output["completion_ids"].size(1), self.args.per_device_train_batch_size
        return self._get_per_token_logps_and_entropies(model, ids, mask, longest, batch_size=batch)[0]

    def _compute_loss(self, model: torch.nn.Module, inputs: dict[str, Any]) -> torch.Tensor:
        self._banned_here = inputs.get("banned")
        return super()._compute_loss(model, inputs)

    def _get_per_token_logps_and_entropies(
        self, model, input_ids, attention_mask, logits_to_keep, batch_size=None, compute_entropy=False, **_: Any
    ) -> tuple[torch.Tensor, torch.Tensor | None, None]:
        """As TRL does it, over the tokens that the sampler could choose."""
        labels = input_ids.masked_fill(attention_mask == 0, -100)
        labels[:, :-logits_to_keep] = -100
        parts = []
        for rows in torch.arange(len(labels)).split(batch_size or len(labels)):
            banned = None if self._banned_here is None else (self.banned.sets, self._banned_here[rows])
            asked = {"input_ids": input_ids[rows], "attention_mask": attention_mask[rows], "labels": labels[rows]}
            with self.accelerator.autocast():
                found = model(**asked, banned=banned, fused_lm_head=True)
            parts.append((found.log_probs[:, -logits_to_keep:], found.entropy[:, -logits_to_keep:]))
        log_probs, entropy = (torch.cat(values) for values in zip(*parts, strict=True))
        return log_probs, entropy if compute_entropy else None, None

    def _measure(self, name: str, value: float) -> None:
        self._metrics["train"][name].append(float(value))


def reward(prompts: list[str], completions: list[str], reward: list[float | None], **_: Any) -> list[float | None]:
    """The rewards that came with the rollouts (a reward function of TRL)."""
    return reward


def _trained(rollout: Rollout, graded: Graded) -> list[int]:
    """For every token: 1 if the update uses it."""
    return [int(graded.value is not None and not forced) for forced in rollout.forced]


def _divergence(start: torch.Tensor | None, scores: torch.Tensor, number: int, free: torch.Tensor) -> float | None:
    if start is None or not free.any():
        return None
    log_ratio = start[number, : len(scores)].float().cpu() - scores
    return (log_ratio.exp() - 1 - log_ratio)[free].mean().item()
