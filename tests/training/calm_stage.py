"""A kind of model as a later stage would add it. This file is all the code it needs: a table, a loss and a plan."""

from nemotron_assets.models.columns import TRAINED, model_table
from nemotron_assets.models.registry import Identity, Parent
from nemotron_assets.training.loop import train as run
from nemotron_assets.training.losses import NextToken
from nemotron_assets.training.plan import Plan, working_folder
from nemotron_assets.training.worker import job_of
from tests.training.test_loop import Memory

CALM = model_table("calm", "Models trained to be less sure.", named="recipe and stage", own=TRAINED)


class Calm(NextToken):
    """The loss of the next token, plus a penalty for logits that are far from zero."""

    def forward(self, batch):
        logits = self.student(batch.tokens, use_cache=False).logits.float()
        return super().forward(batch) + 1e-3 * logits.square().sum()


def train_calm(config, emit):
    return run(job_of(config, loss=Calm), Memory(), emit).as_dict()


def plan(base, tokenizer, settings):
    id_ = f"calm-{base['sha256'][:8]}"
    return Plan(
        CALM,
        Identity("calm", id_, parents=(Parent("models.base", base["id"]),)),
        f"{__name__}:train_calm",
        {
            "start": {"folder": base["folder"]}, "training": settings.model_dump(), "section": "train.calm",
            "sequence_length": 48, "folder": working_folder(id_),
        },
        steps=settings.tokens // (48 * settings.batch_sequences),
        tokenizer=tokenizer,
    )  # fmt: skip
