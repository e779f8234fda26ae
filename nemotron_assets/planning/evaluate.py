"""Estimates of the evaluation: benchmark items, RULER items and answers, bits per byte, and scores of models."""

from __future__ import annotations

from nemotron_assets.planning.figures import Value, total
from nemotron_assets.planning.plan import Estimate, Plan, estimates
from nemotron_assets.planning.pretrain import parameters

_KINDS = 5  # kinds of held-out text
_TASKS = 7  # tasks of RULER


@estimates("evaluate.benchmarks")
def benchmarks(plan: Plan) -> Estimate:
    folder = plan.recipe.evaluate.benchmarks
    rows = plan.size("evaluate.benchmarks.rows" if folder == "sample" else "evaluate.suites.rows", "sample")
    stored = plan.stored("evaluate.benchmarks", rows)
    return Estimate(rows=rows, bytes=stored, core_seconds=plan.taking("evaluate.benchmarks"))


@estimates("evaluate.ruler_items")
def ruler_items(plan: Plan) -> Estimate:
    """Prompts of every task and length."""
    own = plan.recipe.evaluate.ruler
    each = plan.value("tasks of RULER", _TASKS) * plan.value("evaluate.ruler.items")
    rows = each * plan.value("evaluate.ruler.lengths", len(own.lengths))
    tokens = each * plan.value("sum of evaluate.ruler.lengths", sum(own.lengths))
    spent = plan.taking("evaluate.ruler_items", tokens)
    return Estimate(rows=rows, tokens=tokens, bytes=plan.text_bytes(tokens), core_seconds=spent)


@estimates("evaluate.ruler_answers")
def ruler_answers(plan: Plan) -> Estimate:
    """The base model reads the prompts that fit its context, all others those that fit the long context."""
    own, blend, names = plan.recipe.evaluate.ruler, plan.recipe.blend, plan.recipe.evaluate.models.ruler_answers
    each = plan.value("tasks of RULER", _TASKS) * plan.value("evaluate.ruler.items")
    contexts = [blend.sequence_length if name == "base" else blend.long_context.sequence_length for name in names]
    fitting = [length for context in contexts for length in own.lengths if length <= context]
    rows = each * plan.value("lengths that fit the models", len(fitting))
    read = each * plan.value("sum of these lengths", sum(fitting))
    stored = plan.stored("evaluate.ruler_answers", rows)
    # A token of an answer takes as long as many tokens of a prompt: it is written alone.
    written = rows * plan.value("evaluate.ruler.max_output_tokens")
    if plan.recipe.train.base.precision == "fp32":
        spent = plan.taking("evaluate.ruler_answers") + written / plan.rate("cpu.answer_tokens")
        return Estimate(rows=rows, bytes=stored, core_seconds=spent + read / plan.rate("cpu.prompt_tokens"))
    prompts = 2 * parameters(plan) * read / (plan.rate("gpu.flops") * plan.rate("gpu.reading_share"))
    answers = 2 * parameters(plan) * written / (plan.rate("gpu.flops") * plan.rate("gpu.alone_share"))
    started = plan.taking("evaluate.ruler_answers")
    return Estimate(rows=rows, bytes=stored, core_seconds=started, gpu_seconds=prompts + answers)


@estimates("evaluate.bits_by_position")
def bits_by_position(plan: Plan) -> Estimate:
    """Every long held-out document is read by all models, at most to the length of the sequences for long context."""
    longest = plan.value("blend.long_context.sequence_length")
    models = len(plan.recipe.evaluate.models.bits_by_position)
    rows = plan.value("models and stretches of positions", models * _stretches(plan))
    read = _held_out(plan).up_to(_most(plan, "evaluate.max_long_documents", longest))
    return _read_by_models(plan, "evaluate.bits_by_position", rows, models, read)


@estimates("evaluate.item_results")
def item_results(plan: Plan) -> Estimate:
    """Two floating-point operations per parameter and token read: items with their worked examples, held-out texts."""
    own, item = plan.recipe.evaluate, plan.size("evaluate.item_tokens", "sample")
    items = plan.size("evaluate.items", "sample").up_to(own.max_items)
    read = [items * item * plan.value(f"shots of {task.name}", task.shots + 1) * 4 for task in own.tasks]
    chats = plan.value("models of chat_suites", len(own.models.chat_suites))
    read += [
        items * plan.value(f"answers to {task.name}", task.runs) * plan.value("evaluate.max_output_tokens")
        for task in own.tasks
        if task.runs > 1
    ]
    written = [items * plan.value(f"runs of {t.name}", t.runs * t.max_output_tokens) * chats for t in own.chat_tasks]
    length = 3 * plan.value("evaluate.window")
    if own.max_held_out_characters:
        length = plan.value("evaluate.max_held_out_characters") / plan.size("text.bytes_per_token", "sample")
    held_out = _held_out(plan).up_to(_most(plan, "evaluate.max_held_out_documents", length))
    asked = plan.value("models that answer benchmarks", len(own.models.suites))
    reading = plan.value("models that read held-out texts", len(own.models.texts))
    documents = plan.value("evaluate.max_held_out_documents") if own.max_held_out_documents else held_out / 1_000
    rows = asked * items * plan.value("tasks", len(own.tasks)) + reading * documents * plan.value("kinds", _KINDS)
    return _read_by_models(
        plan, "evaluate.item_results", rows, 1, total([asked * total(read), *written, reading * held_out])
    )


@estimates("evaluate.benchmark_scores")
def benchmark_scores(plan: Plan) -> Estimate:
    """A row per model and task, computed from the results of items."""
    own = plan.recipe.evaluate
    ruler = (_TASKS + 1) * len(own.ruler.lengths) * len(own.models.ruler_answers)
    suite = len(plan.recipe.align.suite.tasks) + 1
    of_models = (len(own.tasks) + 1) * len(own.models.suites) + (_KINDS + suite) * len(own.models.texts)
    rows = plan.value("scores of the models", of_models + ruler)
    stored = plan.stored("evaluate.benchmark_scores", rows)
    return Estimate(rows=rows, bytes=stored, core_seconds=plan.taking("evaluate.benchmark_scores"))


@estimates("evaluate.throughput")
def throughput(plan: Plan) -> Estimate:
    """A model and a Transformer of its size run every batch. A token is written in the time of many that are read."""
    own, models = plan.recipe.evaluate.throughput, len(plan.recipe.evaluate.models.throughput)
    rows = plan.value("models and batches", models * len(own.lengths) * len(own.batches))
    requests = own.runs * sum(own.batches)
    read = plan.value("tokens of prompts", models * requests * sum(length for length, _ in own.lengths))
    written = plan.value("tokens that are written", models * requests * sum(length for _, length in own.lengths))
    made, start = {"rows": rows, "bytes": plan.stored("evaluate.throughput", rows)}, plan.taking("evaluate.throughput")
    if plan.recipe.train.base.precision == "fp32":
        spent = read / plan.rate("cpu.prompt_tokens") + written / plan.rate("cpu.batched_tokens")
        return Estimate(**made, core_seconds=start + 2 * spent)
    work = (
        2
        * parameters(plan)
        * (
            read / (plan.rate("gpu.flops") * plan.rate("gpu.reading_share"))
            + written / (plan.rate("gpu.flops") * plan.rate("gpu.writing_share"))
        )
    )
    return Estimate(**made, core_seconds=start, gpu_seconds=2 * work)


def _stretches(plan: Plan) -> int:
    shortest, longest = plan.recipe.blend.sequence_length, plan.recipe.blend.long_context.sequence_length
    return 1 + max(0, (longest - 1) // shortest).bit_length()


def _held_out(plan: Plan) -> Value:
    return plan.of("blend.token_shards").tokens * plan.value("blend.held_out_share")


def _most(plan: Plan, limit: str, tokens: Value) -> Value | None:
    """The most tokens of held-out documents, with a limit of documents of each kind."""
    if plan.recipe.section(limit) is None:
        return None
    return plan.value(limit) * plan.value("kinds of held-out text", _KINDS) * tokens


def _read_by_models(plan: Plan, asset: str, rows: Value, models: int, tokens: Value) -> Estimate:
    work = 2 * parameters(plan) * tokens * plan.value("models that are measured", models)
    made = {"rows": rows, "bytes": plan.stored(asset, rows)}
    start = plan.taking(asset)
    if plan.recipe.train.base.precision == "fp32":
        return Estimate(**made, core_seconds=start + work / plan.rate("cpu.scoring_flops"))
    seconds = work / (plan.rate("gpu.flops") * plan.rate("gpu.reading_share"))
    return Estimate(**made, core_seconds=start, gpu_seconds=seconds)
