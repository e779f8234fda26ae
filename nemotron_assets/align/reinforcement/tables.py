"""Declares the rollouts of the reinforcement learning, and the models that it makes."""

from __future__ import annotations

from nemotron_assets.models.columns import TRAINED, model_table
from nemotron_assets.table.columns import ID, PARENTS
from nemotron_assets.table.schema import Column, Table

#: Splits of rollouts: trained on; of prompts that only measure; of a step before which the training stopped.
TRAIN, HELD_OUT, STOPPED = "train", "held_out", "stopped"

_POLICY = ("models.sft_3.uri", "models.dpo.uri")

ROLLOUTS = Table(
    schema="align",
    name="rollouts",
    description="Every rollout of the reinforcement learning, with its tokens, their log-probabilities, and its reward "
    "by verifier: a reward can be audited and given again without generating anything. Rollouts of held-out prompts "
    "are from before the first step (step 0) and after the last one, and are not trained on.",
    columns=(
        ID,
        PARENTS,
        Column("stage", "string", "training that asked for it: ifeval_rl or rlhf"),
        Column("model_id", "string", "id of the model that is trained"),
        Column("step", "int64", "optimizer step that it was sampled for, from 1, with the weights before this step"),
        Column(
            "split",
            "string",
            "train or held_out, as its prompt; stopped: too many rollouts of the step could not be graded, so the "
            "training stopped before it used them",
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
    ),
    key=("id",),
    group="align",
    parents=("align.prompts",),
    origins={
        "stage": (),
        "model_id": ("models.ifeval_rl.id", "models.rlhf.id"),
        "step": (),
        "split": ("align.prompts.split",),
        "prompt": ("align.prompts.messages", "align.prompts.tools"),
        "sample": (),
        "rewards": ("align.prompts.verifiers", "models.reward_model.uri", *_POLICY),
        "reward": ("align.prompts.verifiers", "models.reward_model.uri", *_POLICY),
        "error": ("align.prompts.verifiers",),
        "engine": (),
        "run_id": (),
        "generation_id": ("align.prompts.messages", *_POLICY),
        "*": ("align.prompts.messages", *_POLICY),
    },
)

_WEIGHTS = "Hugging Face folder (safetensors, config, tokenizer, chat template), relative to the root of the lake"


def _policy(name: str, description: str, before: str, *more: str) -> Table:
    return model_table(
        name,
        description,
        named=f"name of the model: the recipe and the stage, for example laptop-{name.replace('_', '-')}",
        group="align",
        own=TRAINED,
        weights=_WEIGHTS,
        origins={
            "parents": (f"models.{before}.id", *(f"models.{other}.id" for other in more)),
            "sources": (),
            "*": (
                f"models.{before}.uri", *(f"models.{other}.uri" for other in more), "align.prompts.messages",
                "align.prompts.verifiers",
            ),
        },
        example_input="align.prompts@3",
    )  # fmt: skip


IFEVAL_RL = _policy(
    "ifeval_rl",
    "Models that GRPO has trained on prompts whose answers programs can verify: instructions and short tasks.",
    "sft_3",
)
REWARD_MODEL = model_table(
    "reward_model",
    "Models that give an answer a number: the higher, the better. They are trained on pairs of answers.",
    named="name of the model: the recipe and the stage, for example laptop-reward-model",
    group="align",
    own=(
        *TRAINED,
        Column(
            "held_out_accuracy",
            "float64",
            "share of the held-out pairs whose better answer gets the higher number; null: no pair is held out",
            nullable=True,
        ),
        Column("held_out_pairs", "int64", "number of held-out pairs"),
    ),
    weights=_WEIGHTS,
    origins={
        "parents": ("models.sft_3.id",),
        "sources": (),
        "*": ("models.sft_3.uri", "align.preferences.chosen_tokens", "align.preferences.rejected_tokens"),
    },
    example_input="align.preferences@3",
)
RLHF = _policy(
    "rlhf",
    "Models that GRPO has trained against the reward model, with and without thinking.",
    "dpo",
    "reward_model",
)

TABLES = [ROLLOUTS, IFEVAL_RL, REWARD_MODEL, RLHF]
