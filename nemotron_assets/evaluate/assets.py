"""Declares the assets of the evaluation: RULER items and answers to them, bits per byte by position, and scores."""

from pathlib import Path

import dagster as dg

from nemotron_assets.blend.tables import TOKENIZER
from nemotron_assets.evaluate.inputs import HELD_OUT, models_of
from nemotron_assets.evaluate.results.tables import ITEM_RESULTS
from nemotron_assets.evaluate.suite.tables import SUITE_ANSWERS
from nemotron_assets.evaluate.tables import BENCHMARK_SCORES, BITS_BY_POSITION, RULER_ANSWERS, RULER_ITEMS
from nemotron_assets.recipe import Recipe, current_recipe
from nemotron_assets.table.asset import table_asset
from nemotron_assets.table.schema import Table
from nemotron_assets.web.dedup.tables import UNIQUE_DOCUMENTS
from resources.gpu import POOL, Gpu
from resources.lakehouse import Lakehouse, Reader


def measured(table: Table) -> dict[str, Table]:
    """The tables of models that the recipe measures for a table."""
    return models_of(getattr(current_recipe().evaluate.models, table.name))


@table_asset(
    RULER_ITEMS,
    recipe="evaluate.ruler",
    code="3",  # the prompt decides the id of an item
    ins={"unique_documents": UNIQUE_DOCUMENTS, "tokenizer": TOKENIZER},
    kinds={"polars"},
)
def ruler_items(
    context: dg.AssetExecutionContext,
    recipe: dg.ResourceParam[Recipe],
    lake: dg.ResourceParam[Lakehouse],
    unique_documents: Reader,
    tokenizer: Reader,
):
    """Questions about long prompts: numbers, chains of variables and frequent words, hidden among the sentences and
    words of English documents. Every right answer is known, and the length of the item has room for it."""
    from nemotron_assets.evaluate.ruler.tasks import item_rows

    rows = item_rows(unique_documents.scan(), lake.get_weights(tokenizer.only_row()["uri"]), recipe.evaluate.ruler)
    context.add_output_metadata({"tasks": rows["task"].n_unique(), "longest_prompt": rows["tokens"].max()})
    return rows


@table_asset(
    RULER_ANSWERS,
    recipe=("evaluate.ruler.max_output_tokens", "evaluate.models.ruler_answers"),
    ins={**measured(RULER_ANSWERS), "ruler_items": RULER_ITEMS},
    kinds={"pytorch", "huggingface"},
    pool=POOL,
)
def ruler_answers(
    context: dg.AssetExecutionContext,
    recipe: dg.ResourceParam[Recipe],
    lake: dg.ResourceParam[Lakehouse],
    gpu: dg.ResourceParam[Gpu],
    ruler_items: Reader,
    **models: Reader,
):
    """The answers of the models in use to the RULER items that fit their context, each with its recall: the share of
    the right answers that it names. A model whose tokenizer differs from the tokenizer of the items is not asked. A
    model whose items did not change is not asked again."""
    from nemotron_assets.evaluate.in_use import Measuring
    from nemotron_assets.evaluate.ruler.answers import rows_of, summary

    work = Measuring(RULER_ANSWERS, ("item",), [ruler_items], lake, gpu, context.run_id, context.log.info)
    items = ruler_items.scan().collect()

    def answers(folder: Path, device: str, model_id: str) -> list:
        return rows_of(folder, items, recipe.evaluate.ruler, device, model_id, context.log.info)

    return work.parts(list(models.values()), answers, summary)


@table_asset(
    BITS_BY_POSITION,
    recipe=(
        "evaluate.max_long_documents", "blend.held_out_share", "blend.sequence_length",
        "blend.long_context.sequence_length", "web.heuristics.languages", "evaluate.models.bits_by_position",
    ),
    code="2",  # the address of a page decides whether it is held out
    ins={**measured(BITS_BY_POSITION), **HELD_OUT},
    kinds={"pytorch", "huggingface"},
    pool=POOL,
)  # fmt: skip
def bits_by_position(
    context: dg.AssetExecutionContext,
    recipe: dg.ResourceParam[Recipe],
    lake: dg.ResourceParam[Lakehouse],
    gpu: dg.ResourceParam[Gpu],
    **readers: Reader,
):
    """Bits per byte of the models in use on long held-out documents, by the position in the document. Every document is
    read in one piece, up to the length of the sequences for long context."""
    from nemotron_assets.evaluate.by_position import LongTexts, plot
    from nemotron_assets.evaluate.in_use import Measuring

    models = [readers[name] for name in measured(BITS_BY_POSITION)]
    held_out = [readers[name] for name in HELD_OUT]
    work = Measuring(BITS_BY_POSITION, ("first_token",), held_out, lake, gpu, context.run_id, context.log.info)
    return work.parts(models, LongTexts(recipe, held_out).rows, lambda made: plot(lake.read(BITS_BY_POSITION)))


@table_asset(
    BENCHMARK_SCORES,
    recipe=(),
    code="7",  # computed from the results of items, with intervals, and with the suite
    ins={"item_results": ITEM_RESULTS, "ruler_answers": RULER_ANSWERS, "suite_answers": SUITE_ANSWERS},
    kinds={"polars"},
)
def benchmark_scores(
    context: dg.AssetExecutionContext, item_results: Reader, ruler_answers: Reader, suite_answers: Reader
):
    """Scores of all measured models with 95% intervals: the benchmarks of lm-evaluation-harness, bits per byte of every
    kind of held-out text beside gzip and single bytes, the recall of RULER's answers by task and length, and the share
    of right answers to the suite by task. The scores of earlier versions stay in the table."""
    from nemotron_assets.evaluate.scoring import score_parts

    return score_parts(item_results, ruler_answers, suite_answers, context.run_id)


ASSETS = [ruler_items, ruler_answers, bits_by_position, benchmark_scores]
