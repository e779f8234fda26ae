"""Sections about results: scores beside published ones, thinking budgets, compression, throughput, ablations."""

from __future__ import annotations

from nemotron_assets.evaluate.report.content import Grid, Section, grid
from nemotron_assets.evaluate.report.drawing import bars, lines
from nemotron_assets.evaluate.report.lake import Lake
from nemotron_assets.evaluate.report.published import Listed, Published, Scores


def scores(lake: Lake, published: Published) -> Section:
    """Scores of all checkpoints on the suite, on held-out texts and on benchmarks, beside the published numbers."""
    section = Section(
        "scores",
        "Scores of all checkpoints",
        "The newest version of every model. A ± is one standard error over the items. The published numbers are of "
        "models thousands of times as large: they say what the original reached, not what this lake should reach.",
        ("evaluate.benchmark_scores", "evaluate.suite_answers"),
    )
    if lake.has("evaluate.suite_answers"):
        _suite(lake, section)
    if lake.has("evaluate.benchmark_scores"):
        _bits(lake, section)
        _benchmarks(lake, section)
    for title, group in (
        ("Base models, beside published scores", published.base_scores),
        ("Aligned models, beside published scores", published.aligned_scores),
    ):
        section.show(_beside(lake, title, group))
    return section


def _suite(lake: Lake, section: Section) -> None:
    rows = lake.rows(
        "select model, task, score, stderr, items from evaluate.suite_scores order by answered_at, model, task"
    )
    whole = {model: 100 * score for model, task, score, _, _ in rows if task == "all"}
    section.show(bars("Right answers to the suite, all tasks", whole, x="percent"))
    tasks = sorted({task for _, task, *_ in rows} - {"all"})
    found = {(model, task): f"{100 * score:.1f} ± {100 * (err or 0):.1f}" for model, task, score, err, _ in rows}
    shown = [[model, *(found.get((model, task)) for task in ("all", *tasks))] for model in whole]
    section.show(grid("Right answers to the suite by task, in percent", ("model", "all tasks", *tasks), shown))


def _bits(lake: Lake, section: Section) -> None:
    rows = lake.rows(
        "select replace(task, 'held_out_', ''), model, value, stderr, gzip_bits_per_byte, unigram_bits_per_byte "
        "from (select *, row_number() over (partition by task, model order by scored_at desc) as place "
        "from evaluate.leaderboard where metric = 'bits_per_byte') where place = 1 order by scored_at, model, task"
    )
    kinds = sorted({kind for kind, *_ in rows})
    models = list(dict.fromkeys(model for _, model, *_ in rows))
    for kind in kinds:
        own = {model: value for k, model, value, *_ in rows if k == kind}
        gzip = next(row[4] for row in rows if row[0] == kind)
        shown = {**own, **({"gzip -9": gzip} if gzip else {})}
        section.show(
            bars(f"Bits per byte of held-out {kind.replace('_', ' ')}", shown, x="bits per byte, less is better")
        )
    found = {(model, kind): f"{value:.3f} ± {err or 0:.3f}" for kind, model, value, err, *_ in rows}
    shown = [[model, *(found.get((model, kind)) for kind in kinds)] for model in models]
    section.show(grid("Bits per byte of held-out texts", ("model", *kinds), shown))


def _benchmarks(lake: Lake, section: Section) -> None:
    rows = lake.rows(
        "select task, metric, length, model, shots, 100 * value, 100 * stderr, 100 * random_baseline, samples "
        "from evaluate.leaderboard where metric <> 'bits_per_byte' "
        "qualify row_number() over (partition by task, metric, length, model order by scored_at desc) = 1 "
        "order by task, metric, length, scored_at, model"
    )
    columns = ("task", "metric", "length", "model", "shots", "percent", "standard error", "by guessing", "items")
    section.show(grid("Benchmarks", columns, rows))


def _beside(lake: Lake, title: str, group: Scores) -> Grid:
    """Published scores with those of this lake beside them."""
    rows = lake.rows(
        "select task, model, 100 * value from evaluate.leaderboard where metric <> 'bits_per_byte' "
        "qualify row_number() over (partition by task, model order by scored_at desc, metric) = 1 order by scored_at"
    )
    names = list(dict.fromkeys(model for _, model, _ in rows))
    own = {(task, model): value for task, model, value in rows}
    shown = [[one.name, *one.scores, *(own.get((one.task, model)) for model in names)] for one in group.benchmarks]
    columns = ("benchmark", *(f"{model} (published)" for model in group.models), *names)
    return grid(f"{title}, in percent. Published in: {group.source}", columns, shown)


def listed(title: str, group: Listed) -> Grid:
    """A published table."""
    return grid(f"{title}. Published in: {group.source}", group.columns, group.rows)


def budgets(lake: Lake) -> Section:
    """Accuracy and length against the thinking budget."""
    section = Section(
        "budgets",
        "Control of the thinking budget",
        "Right answers and tokens against the budget of the thought: by the model itself (own), and with the budget "
        "enforced token by token (enforced).",
        ("evaluate.budget_control",),
    )
    if not lake.has("evaluate.budget_control"):
        return section
    rows = lake.rows(
        "select model, mode, budget, 100 * accuracy, 100 * stderr, 100 * well_formed, thought_tokens, answer_tokens, "
        "100 * closed_by_budget, items from evaluate.budget_control "
        'qualify row_number() over (partition by model, mode, budget order by "at" desc) = 1 order by 1, 2, 3'
    )
    for title, place, unit in (
        ("Right answers against the budget", 3, "percent"),
        ("Answers with one pair of tags", 5, "percent"),
        ("Tokens of the thought", 6, "tokens"),
    ):
        series: dict[str, tuple[list[float], list[float]]] = {}
        for row in rows:
            xs, ys = series.setdefault(f"{row[0]}, {row[1]}", ([], []))
            xs.append(row[2]), ys.append(row[place])
        section.show(lines(title, series, x="budget in tokens", y=unit, dots=True))
    columns = (
        "model", "mode", "budget", "right, percent", "standard error", "well formed, percent", "thought tokens",
        "answer tokens", "closed by the budget, percent", "items",
    )  # fmt: skip
    section.show(grid("Thinking budgets", columns, rows))
    return section


def compression(lake: Lake, published: Published) -> Section:
    """The candidates of the compression: bytes, score and speed."""
    section = Section(
        "compression",
        "Compression to a budget of bytes",
        "The candidates of the search, with the bytes that they need on the device, their score after a brief "
        "distillation and their speed. Never a score without memory and speed.",
        ("compress.budget", "compress.candidates"),
    )
    section.show(
        listed("Memory of the published models", published.compression),
        listed("Published candidates", published.candidates),
    )
    return section


def throughput(lake: Lake, published: Published) -> Section:
    """This model against a Transformer of the same size in the same engine."""
    section = Section(
        "throughput",
        "Throughput",
        "The hybrid model against a plain Transformer of the same size in the same vLLM. Ratios mean something on any "
        "machine, tokens per second only on the machine of this lake.",
        ("evaluate.throughput",),
    )
    section.show(listed("Published ratios", published.throughput))
    return section


def ablations(lake: Lake, published: Published) -> Section:
    """The results of ablations: one change of the recipe, same tokens, several seeds."""
    section = Section(
        "ablations",
        "Ablations",
        "One change of the recipe at a time, with the same number of training tokens and several seeds: the difference "
        "of the same items between the two models, with its 95% interval.",
        ("evaluate.ablations",),
    )
    section.show(listed("Published ablations", published.ablations))
    return section
