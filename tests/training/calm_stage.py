"""A stage as it is added later: a table, a loss, an entry function, a plan, an asset. It trains the base model on to be
less sure. This file is all the code that such a stage needs."""

import dagster as dg

from nemotron_assets.blend.tables import SEQUENCES, TOKEN_SHARDS
from nemotron_assets.models.columns import TRAINED, model_table
from nemotron_assets.models.registry import Identity, Parent, newest
from nemotron_assets.pretrain.tables import BASE
from nemotron_assets.table.asset import table_asset
from nemotron_assets.table.ids import content_hash, row_id
from nemotron_assets.training.loop import train as run
from nemotron_assets.training.losses import NextToken
from nemotron_assets.training.plan import Plan, shards_config, train, working_folder
from nemotron_assets.training.schedule import total_steps
from nemotron_assets.training.worker import job_of, shards_of

CODE, LENGTH = "1", 64
CALM = model_table("calm", "Models trained to be less sure.", named="recipe and stage", own=TRAINED)


class Calm(NextToken):
    def forward(self, batch):
        return super().forward(batch) + 1e-3 * self.student(batch.tokens, use_cache=False).logits.square().sum()


def entry(config, emit):
    return run(job_of(config, loss=Calm), shards_of(config), emit).as_dict()


def plan(lake, settings, base, tokens, sequences) -> Plan:
    model = newest(base)
    recipe_hash = content_hash(settings.model_dump_json())
    id_ = row_id(CALM.full_name, CODE, recipe_hash, model["sha256"], *sequences.parts().values())
    inputs = (tokens.input_version, sequences.input_version)
    identity = Identity("calm", id_, recipe_hash, inputs, (Parent(BASE.full_name, model["id"]),))
    weights, training = lake.get_weights(model["uri"]), settings.model_dump()
    start = {"folder": str(weights)}
    config = {"start": start, "training": training, "section": "train.base", "sequence_length": LENGTH}
    config |= {"folder": working_folder(id_), "shards": shards_config(lake, tokens, sequences, LENGTH)}
    return Plan(CALM, identity, f"{__name__}:entry", config, total_steps(settings, LENGTH), weights)


@table_asset(CALM, recipe=("train.base",), code=CODE, ins={"base": BASE, "tokens": TOKEN_SHARDS, "packed": SEQUENCES})
def calm(context, recipe: dg.ResourceParam, lake: dg.ResourceParam, gpu: dg.ResourceParam, base, tokens, packed):
    settings = recipe.train.base
    return train(plan(lake, settings, base, tokens, packed), lake, gpu, context.run_id, context.log.info)[1]
