"""The columns of a table of preference pairs. Each stage that trains with pairs has such a table."""

from __future__ import annotations

from nemotron_assets.table.columns import ID, PARENTS, SOURCES
from nemotron_assets.table.schema import Column, Table

#: Kinds of pairs.
TOOLS, PREFERENCE = "tools", "preference"
#: Where the better answer of a pair comes from.
SAMPLE, REFERENCE = "sample", "reference"


def preferences_table(schema: str, uses: str, policy: str) -> Table:
    """The table `<schema>.preferences`. `uses` says what the pairs train, for people; `policy` is the table of the
    models that answer ("models.ifeval_rl")."""
    weights, asked = f"{policy}.uri", "align.prompts.messages"
    return Table(
        schema=schema,
        name="preferences",
        description="Pairs of answers to one prompt, a better and a worse one. A policy has sampled them, and "
        f"verifiers have scored them. {uses}",
        columns=(
            ID,
            PARENTS,
            SOURCES,
            Column("part", "string", "kind, round and policy of the pairs that were made together: tools-1-<id>"),
            Column("kind", "string", "tools: pairs of tool tasks; preference: pairs for the reward model"),
            Column(
                "round",
                "int64",
                "round of DPO whose policy has answered, from 1: the policy of round 2 is the model of round 1; "
                "pairs of the kind preference are answers of the model of the last round",
            ),
            Column("split", "string", "train, or held_out: the pair is only scored"),
            Column("messages", "string", "what the policy has read, as in align.prompts"),
            Column("tools", "string", "tools that the policy may call, as in align.prompts; null: none", nullable=True),
            Column("chosen", "string", "the better answer as it was written, with its thought and its calls of tools"),
            Column("rejected", "string", "the worse answer"),
            Column("prompt_tokens", "list[int32]", "tokens of the prompt, up to where the answer begins"),
            Column(
                "chosen_tokens", "list[int32]",
                "tokens of the better answer as they were sampled, with the token that ends the turn",
            ),
            Column(
                "rejected_tokens", "list[int32]",
                "tokens of the worse answer as they were sampled; without the token that ends the turn if it was cut",
            ),
            Column(
                "chosen_from", "string",
                "sample: the policy has written the better answer; reference: no sample was right, so the reference "
                "answer of the prompt stands in",
            ),
            Column("labelled_by", "string", "verifiers that scored both answers, for example tools or exact"),
            Column("chosen_score", "float64", "score of the better answer, from 0 to 1"),
            Column("rejected_score", "float64", "score of the worse answer, from 0 to 1"),
            Column("margin", "float64", "difference of the two scores"),
            Column("samples", "int64", "answers of the policy that the pair was chosen from"),
            Column("right_samples", "int64", "number of these answers with the score 1 that end their turn"),
            Column("model_id", "string", "id of the model that has answered"),
            Column(
                "generation_ids", "list[string]",
                "ids in llm.generations of the better and the worse answer; a reference answer has none",
            ),
        ),
        part_by="part",
        parents=("align.prompts",),
        origins={
            "part": (f"{policy}.id", "align.prompts.kind"),
            "round": (),
            "chosen": (weights, asked, "align.prompts.reference"),
            "rejected": (weights, asked),
            "prompt_tokens": (asked, "align.prompts.tools"),
            "chosen_tokens": (weights, asked, "align.prompts.reference"),
            "rejected_tokens": (weights, asked),
            "labelled_by": ("align.prompts.verifiers",),
            "chosen_score": ("align.prompts.verifiers",),
            "rejected_score": ("align.prompts.verifiers",),
            "margin": ("align.prompts.verifiers",),
            "model_id": (f"{policy}.id",),
            "*": (weights,),
        },
    )  # fmt: skip
