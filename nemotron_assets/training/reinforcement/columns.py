"""The columns of a table of rollouts. Each stage that trains with rollouts has such a table."""

from __future__ import annotations

from collections.abc import Sequence

from nemotron_assets.table.columns import ID, PARENTS
from nemotron_assets.table.schema import Column, Table

#: Splits of rollouts: trained on; of prompts that only measure; of a step before which the training stopped; of prompts
#: that are asked before the first step, to choose those that can be learned.
TRAIN, HELD_OUT, STOPPED, SCREENED = "train", "held_out", "stopped", "screened"


def rollouts_table(schema: str, stages: str, policies: Sequence[str], made: Sequence[str]) -> Table:
    """The table `<schema>.rollouts`. `stages` says which trainings ask for rollouts, for people; `policies` are the
    tables of the models that are trained ("models.sft_3"), `made` those of the trained models."""
    weights = tuple(f"{table}.uri" for table in policies)
    rewards = ("align.prompts.verifiers", "models.reward_model.uri", *weights)
    return Table(
        schema=schema,
        name="rollouts",
        description="Every rollout of the reinforcement learning, with its tokens, their log-probabilities, and its "
        "reward by verifier: a reward can be audited and given again without generating anything. Rollouts of held-out "
        "prompts are from before the first step (step 0) and after the last one, and are not trained on.",
        columns=_columns(stages),
        key=("id",),
        group=schema,
        parents=("align.prompts",),
        origins={
            "stage": (),
            "model_id": tuple(f"{table}.id" for table in made),
            "step": (),
            "split": ("align.prompts.split",),
            "prompt": ("align.prompts.messages", "align.prompts.tools"),
            "sample": (),
            "rewards": rewards,
            "reward": rewards,
            "error": ("align.prompts.verifiers",),
            "engine": (),
            "run_id": (),
            "generation_id": ("align.prompts.messages", *weights),
            "*": ("align.prompts.messages", *weights),
        },
    )


def _columns(stages: str) -> tuple[Column, ...]:
    return (
        ID,
        PARENTS,
        Column("stage", "string", f"training that asked for it: {stages}"),
        Column("model_id", "string", "id of the model that is trained"),
        Column("step", "int64", "optimizer step that it was sampled for, from 1, with the weights before this step"),
        Column(
            "split",
            "string",
            "train or held_out, as its prompt; stopped: too many rollouts of the step could not be graded, so the "
            "training stopped before it used them; screened: of prompts to train on, before the first step (step 0): "
            "prompts that the model answers rightly too often or never are then left out",
        ),
        Column("prompt", "string", "the prompt as the model read it, up to where the answer begins"),
        Column("sample", "int64", "number of the rollout among those of its prompt in the step, from 0"),
        Column("completion", "string", "what the model wrote, without the token that ended it"),
        Column("tokens", "list[int32]", "its token ids, with the token that ended it"),
        Column(
            "sampler_logprobs",
            "list[float32]",
            "log-probability of each token (nats) from the engine that sampled it; 0 for a forced token",
        ),
        Column(
            "trainer_logprobs",
            "list[float32]",
            "the same from the trainer, before the step; null: the prompt is held out",
            nullable=True,
        ),
        Column("forced", "list[bool]", "whether the thinking budget forced the token; such a token is not trained on"),
        Column("rewards", "string", "what each verifier or reward model said: a JSON object by name"),
        Column("reward", "float64", "reward of the rollout; null: its grading failed", nullable=True),
        Column(
            "error",
            "string",
            "why its grading failed: then the rollout does not take part in the update; null: it did not fail",
            nullable=True,
        ),
        Column(
            "advantage",
            "float64",
            "reward minus the mean reward of the answers to the same prompt, divided as `scale` says, as the loss used "
            "it; 0 without a reward; null: the prompt is held out",
            nullable=True,
        ),
        Column(
            "kl",
            "float64",
            "estimated KL divergence (nats per token) from the model at the start, as (r - 1) - log r with r the ratio "
            "of the start's probability to the trainer's; null: not measured",
            nullable=True,
        ),
        Column("length", "int64", "number of tokens"),
        Column("thought_tokens", "int64", "number of tokens inside the thought"),
        Column("engine", "string", "engine that sampled it: transformers or vllm"),
        Column("finish_reason", "string", "stop if the model ended its answer, length if it was cut"),
        Column("generation_id", "string", "id of the answer in llm.generations"),
        Column("run_id", "string", "id of the Dagster run that stored the row", volatile=True),
    )
