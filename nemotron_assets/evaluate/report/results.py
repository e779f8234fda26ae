"""Sections about results: scores beside published ones, thinking budgets, compression, throughput, ablations."""

from __future__ import annotations

from nemotron_assets.evaluate.report.content import Grid, Section, grid
from nemotron_assets.evaluate.report.drawing import bars, intervals, lines, points
from nemotron_assets.evaluate.report.lake import Lake
from nemotron_assets.evaluate.report.published import Benchmark, Listed, Published, Scores


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
        "select task, metric, length, model, 100 * value from evaluate.leaderboard where metric <> 'bits_per_byte' "
        "qualify row_number() over (partition by task, metric, length, model order by scored_at desc) = 1 "
        "order by scored_at, model, metric"
    )
    own: dict[tuple[str, int | None, str], dict[str, float]] = {}
    for task, metric, length, model, value in rows:
        own.setdefault((task, length, model), {})[metric] = value

    def score(one: Benchmark, model: str) -> float | None:
        by_metric = own.get((one.task, one.length, model), {})
        return by_metric.get(one.metric or min(by_metric, default=""))

    asked = {one.task for one in group.benchmarks}
    names = list(dict.fromkeys(model for task, *_, model, _ in rows if task in asked))
    shown = [[one.name, *one.scores, *(score(one, model) for model in names)] for one in group.benchmarks]
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
    if lake.has("compress.budget"):
        _memory(lake, section)
    if lake.has("compress.candidates"):
        _candidates(lake, section)
    section.show(
        listed("Memory of the published models", published.compression),
        listed("Published candidates", published.candidates),
    )
    return section


def _memory(lake: Lake, section: Section) -> None:
    rows = lake.rows(
        "select model, parameters, weight_bytes, kv_bytes, ssm_bytes + conv_bytes, total_bytes, engine_bytes, "
        "allowed_bytes, context, sequences, fits from compress.budget order by total_bytes desc, model"
    )
    columns = (
        "model", "parameters", "weights", "KV cache", "states", "sum", "by the engine", "allowed", "context",
        "sequences", "fits",
    )  # fmt: skip
    shares = {row[0]: 100 * row[5] / row[7] for row in rows}
    section.show(
        bars("Memory of models, as a share of the budget", shares, x="percent"),
        grid("Memory of models in bytes", columns, rows),
    )


def _candidates(lake: Lake, section: Section) -> None:
    rows = lake.rows(
        "select hidden || ' / ' || ffn || ' / ' || heads || ' x ' || head_dim, len(layers), parameters, "
        "non_embedding_share, total_bytes, fits, rank, loss, 100 * score, items, tokens_per_second, on_front, chosen "
        "from compress.candidates order by rank nulls last, total_bytes desc, hidden, ffn, heads, head_dim"
    )
    tried = [row for row in rows if row[8] is not None]
    for title, place, x in (
        ("Score against memory of the candidates", 4, "bytes"),
        ("Score against speed of the candidates", 10, "tokens per second"),
    ):
        groups: dict[str, list[tuple[float, float, str]]] = {"on the Pareto front": [], "tried": []}
        for row in tried:
            if row[place] is not None:
                name = f"{row[0]}{', chosen' if row[12] else ''}"
                groups["on the Pareto front" if row[11] else "tried"].append((row[place], row[8], name))
        section.show(points(title, groups, x=x, y="percent right"))
    columns = (
        "hidden / FFN / heads", "layers", "parameters", "share outside embeddings", "bytes", "fits", "rank", "loss",
        "score", "items", "tokens per second", "on the front", "chosen",
    )  # fmt: skip
    section.show(grid("Candidates of the compression", columns, rows))


def throughput(lake: Lake, published: Published) -> Section:
    """This model against a Transformer of the same size in the same engine."""
    section = Section(
        "throughput",
        "Throughput",
        "The hybrid model against a plain Transformer of the same size in the same vLLM. Ratios mean something on any "
        "machine, tokens per second only on the machine of this lake.",
        ("evaluate.throughput",),
    )
    if lake.has("evaluate.throughput"):
        _speeds(lake, section)
    section.show(listed("Published ratios", published.throughput))
    return section


def _speeds(lake: Lake, section: Section) -> None:
    rows = lake.records(
        "select model, peer, device, input_tokens, output_tokens, batch, runs, decode_ratio, decode_ratio_low, "
        "decode_ratio_high, prefill_ratio, decode_rate, peer_decode_rate from evaluate.throughput "
        'qualify row_number() over (partition by model, input_tokens, output_tokens, batch order by "at" desc) = 1 '
        "order by model, batch, input_tokens, output_tokens"
    )
    for title, column in (
        ("Decoding, as a multiple of the Transformer", "decode_ratio"),
        ("Reading prompts, as a multiple of the Transformer", "prefill_ratio"),
    ):
        series: dict[str, tuple[list[float], list[float]]] = {}
        for row in rows:
            xs, ys = series.setdefault(f"{row['model']}, batch {row['batch']}", ([], []))
            xs.append(row["input_tokens"]), ys.append(row[column])
        section.show(lines(title, series, x="tokens of the prompt", y="ratio", dots=True, log_x=True))
    right = dict(lake.rows("select model, 100 * score from evaluate.suite_scores where task = 'all'"))
    longest = {row["model"]: row for row in rows if row["batch"] == min(r["batch"] for r in rows)}
    found = [(row["decode_rate"], right[model], model) for model, row in longest.items() if model in right]
    title = "Score against speed at the longest prompt"
    section.show(points(title, {"": found}, x="tokens written per second", y="percent right"))
    columns = tuple(rows[0]) if rows else ()
    section.show(grid("Speeds", [name.replace("_", " ") for name in columns], [row.values() for row in rows]))


def ablations(lake: Lake, published: Published) -> Section:
    """The results of ablations: one change of the recipe, same tokens, several seeds."""
    section = Section(
        "ablations",
        "Ablations",
        "One change of the recipe at a time, with the same number of training tokens and several seeds: the difference "
        "of the same items between the two models, with its 95% interval.",
        ("evaluate.ablations",),
    )
    if lake.has("evaluate.ablations"):
        _differences(lake, section)
    section.show(listed("Published ablations", published.ablations))
    return section


def _differences(lake: Lake, section: Section) -> None:
    rows = lake.rows(
        "select ablation, task, metric, unchanged, changed, difference, low, high, p_value, verdict, items, "
        "len(seeds), tokens, model, change, question from evaluate.ablations order by ablation, task, metric"
    )
    for name, metric in dict.fromkeys((row[0], row[2]) for row in rows):
        found = {row[1]: (row[6], row[5], row[7]) for row in rows if (row[0], row[2]) == (name, metric)}
        less = ", less is better" if metric == "bits_per_byte" else ""
        section.show(intervals(f"Ablation {name}: {metric}", found, x=f"with the change - without{less}"))
    columns = (
        "ablation", "task", "metric", "without", "with", "difference", "low", "high", "p", "with the change", "items",
        "seeds", "tokens", "model", "change", "question",
    )  # fmt: skip
    section.show(grid("Results of the ablations", columns, rows))
