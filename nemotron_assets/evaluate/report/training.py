"""Sections about training and models: curves of the loss, and where the final model comes from."""

from __future__ import annotations

from typing import Any

from nemotron_assets.evaluate.report.content import Section, TableName, grid
from nemotron_assets.evaluate.report.drawing import lines
from nemotron_assets.evaluate.report.lake import Lake

_POINTS = 150  # points of a curve
#: Models whose losses are of the same kind and stand in one figure: title, tables of models without schema, unit.
_FAMILIES = (
    ("Loss of the pretraining", ("base", "long_context"), "nats per token"),
    ("Loss of the supervised stages", ("sft_1", "sft_2", "sft_3"), "nats per token"),
    ("Loss of preferences and rewards", ("dpo", "reward_model"), "nats"),
    ("Loss of reinforcement learning", ("ifeval_rl", "rlhf"), "loss"),
    ("Loss of the compression", ("compression_steps", "compressed_base", "compressed"), "nats"),
)
#: The tables of models of which the first with a row has the final model.
FINAL = ("models.compressed", "models.aligned", "models.sft_3", "models.long_context", "models.base")


def curves(lake: Lake) -> Section:
    """The loss of every training."""
    section = Section(
        "training",
        "Curves of the loss",
        "The loss of every training of a model in use, averaged over stretches of equal length.",
        ("models.training_metrics",),
    )
    if not lake.has("models.training_metrics"):
        return section
    rows = lake.rows(
        "with steps as (select * from models.training_metrics "
        'qualify row_number() over (partition by model_id, step order by "at" desc) = 1), '
        f"parts as (select *, ntile({_POINTS}) over (partition by model_id order by step) as part from steps) "
        "select m.model_table, p.model, p.model_id, max(p.tokens), avg(p.loss) from parts p "
        "left join lineage.models m on m.id = p.model_id "
        "group by m.model_table, p.model, p.model_id, p.part order by p.model, max(p.tokens)"
    )
    found: dict[str, dict[str, tuple[list[float], list[float]]]] = {}
    for table, model, _, tokens, loss in rows:
        name = str(table or "").partition(".")[2]
        title = next((t for t, names, _ in _FAMILIES if name in names), "Loss of other trainings")
        xs, ys = found.setdefault(title, {}).setdefault(model, ([], []))
        xs.append(tokens), ys.append(loss)
    units = {title: unit for title, _, unit in _FAMILIES}
    for title in [*(t for t, _, _ in _FAMILIES), "Loss of other trainings"]:
        section.show(lines(title, found.get(title, {}), x="tokens", y=units.get(title, "loss")))
    rows = lake.rows(
        "select model, max(step), max(tokens)::bigint, arg_min(loss, step), arg_max(loss, step), "
        "median(tokens_per_second) from models.training_metrics group by model, model_id order by model"
    )
    columns = ("model", "steps", "tokens", "first loss", "last loss", "tokens per second")
    section.show(grid("Trainings", columns, rows))
    return section


def final_model(lake: Lake) -> dict[str, Any] | None:
    """The newest row of the last table of models that has one, as in lineage.models; None without a model."""
    for table in FINAL:
        if lake.has(table):
            return lake.records(
                'select * from lineage.models where model_table = ? order by "at" desc limit 1', [table]
            )[0]
    return None


def lineage(lake: Lake) -> Section:
    """The models that the final model is made from, and the versions of tables that they read."""
    section = Section(
        "lineage",
        "Where the final model comes from",
        "The final model, the models that it is made from, and the versions of the tables that each of them read. "
        "`nemotron trace` follows every row further, to the byte of a crawl's file.",
        ("models.base",),
    )
    model = final_model(lake)
    if model is None:
        return section
    models = lake.records(
        "with recursive models as materialized (select * from lineage.models), "
        "above as (select *, 0 as depth from models where id = ? union all "
        "select m.*, a.depth + 1 from (select depth, unnest(parents) as parent from above) a "
        "join models m on m.id = a.parent where a.depth < 64) "
        'select * from above qualify row_number() over (partition by id order by depth desc) = 1 order by "at" desc',
        [model["id"]],
    )
    names = {row["id"]: f"{row['name']} {row['version']}" for row in models}
    shown = [
        (
            TableName(row["model_table"]), names[row["id"]], row["parameters"], row["tokens_seen"], row["final_loss"],
            ", ".join(names.get(parent, parent) for parent in row["parents"]) or "no other model", row["id"],
        )
        for row in models
    ]  # fmt: skip
    columns = ("table", "model", "parameters", "tokens seen", "last loss", "made from", "id")
    section.show(grid("The final model and the models that it is made from", columns, shown))
    inputs = lake.rows(
        "select i.input_table, i.input_version, string_agg(distinct m.name, ', ' order by m.name) "
        "from lineage.model_inputs i join lineage.models m on m.id = i.read_by where i.model_id = ? group by 1, 2 "
        "order by 1, 2",
        [model["id"]],
    )
    read = [
        (TableName(table, f"@{version}"), readers, f"nemotron trace {table}@{version}")
        for table, version, readers in inputs
    ]
    section.show(grid("Tables that these models were made from", ("table and version", "read by", "command"), read))
    return section
