"""`nemotron plan`: what a recipe makes and costs, derived totals beside published ones, and what a change costs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

import click
import dagster as dg
import yaml

from nemotron_assets.commands.console import print_table
from nemotron_assets.commands.selection import select
from nemotron_assets.planning import sources
from nemotron_assets.planning.changes import Node, Stale, changed_values, stale
from nemotron_assets.planning.figures import Figure, Unknown, Value, derived_from, total
from nemotron_assets.planning.plan import Estimate, Plan
from nemotron_assets.planning.projection import projection
from nemotron_assets.planning.shown import amount, duration, money, size, with_range
from nemotron_assets.planning.totals import Comparison, compare
from nemotron_assets.recipe import RecipeError, current_recipe, load_recipe
from nemotron_assets.recipe.load import changed_recipe
from nemotron_assets.sft.tables_of import check_names
from nemotron_assets.table.counting import counted

_COLUMNS = ("asset", "rows", "tokens", "stored", "LLM tokens in", "LLM tokens out", "CPU time", "GPU time", "USD")


def plan_command(
    selection: str | None, *, explain: bool, comparing: bool, change: Sequence[str], against: str | None
) -> None:
    """Print the plan of the recipe in force, or one of its other views."""
    views = {"--explain": explain, "--compare": comparing, "--change or --against": bool(change or against)}
    if len(asked := [name for name, wanted in views.items() if wanted]) > 1:
        raise click.UsageError(f"{' and '.join(asked)} show different things: give one of them")
    if comparing and selection:
        raise click.UsageError(f"--compare shows totals of the whole plan: leave {selection!r} out")
    if change or against:
        print_changes(selection, change, against)
    elif comparing:
        plan = Plan(current_recipe())
        if plan.crawl != "published":
            raise click.UsageError(
                f"--compare needs a recipe with the published sources, not {plan.recipe.name}: add --recipe nano2"
            )
        print_comparison(compare(plan))
    elif explain:
        print_derivations(Plan(current_recipe()), [name for name, _ in assets(selection)])
    else:
        print_plan(Plan(current_recipe()), assets(selection))


def assets(selection: str | None) -> list[tuple[str, str]]:
    """The selected assets and the tables they write beside their own, in topological order: name and group."""
    graph = _graph()
    chosen = set(select(graph, selection))
    beside = [
        key
        for key in graph.toposorted_asset_keys
        if key not in graph.executable_asset_keys and graph.get(key).parent_keys & chosen
    ]
    keys = [key for key in graph.toposorted_asset_keys if key in chosen or key in beside]
    return [(".".join(key.path), graph.get(key).group_name) for key in keys]


def _graph() -> Any:
    from nemotron_assets.definitions import defs

    return defs.resolve_asset_graph()


def print_plan(plan: Plan, chosen: Sequence[tuple[str, str]]) -> None:
    """A line per asset in the order of the graph, a line per group, the total, and what is not known."""
    made = {name: plan.of(name) for name, _ in chosen}
    click.echo(f"Plan of the recipe {plan.recipe.name}. Each range has nine tenths of the outcomes.\n")
    _print(_COLUMNS, [(name, *_cells(estimate)) for name, estimate in made.items()])
    click.echo()
    groups = dict.fromkeys(group for _, group in chosen)
    lines = [(group, *_sums([made[n] for n, g in chosen if g == group])) for group in groups]
    _print(("group", *_COLUMNS[3:]), [*lines, ("all", *_sums(made.values()))])
    price = sources.price("terabyte_month")
    monthly = [stored / 1e12 * price for made_of in made.values() if (stored := made_of.bytes) is not None]
    click.echo(f"\nKeeping all of it costs USD {_sum(monthly, money)} a month. Prices and rates that are assumed")
    click.echo("are in benchmarks/rates.yaml, sizes in nemotron_assets/planning/inputs.yaml; --explain shows which.")
    for reason, names in _not_known(made).items():
        click.echo(f"not known: {reason}: {', '.join(names)}")
    if "web.unique_documents" in made:
        print_projection()


def print_projection() -> None:
    """What deduplicating a crawl of published size takes: core hours by asset, nodes, hours and terabytes."""
    made = projection()
    click.echo(
        f"\nDeduplicating {with_range(made.documents, amount)} documents of {with_range(made.snapshots, amount)} "
        f"snapshots takes {with_range(made.nodes, amount)} nodes of {with_range(made.cores, amount)} cores for "
        f"{with_range(made.hours, amount)} hours, and {with_range(made.stored, size)}:"
    )
    _print(("asset", "CPU time"), [(name, with_range(spent, duration)) for name, spent in made.core_seconds.items()])


def _print(names: Sequence[str], rows: Sequence[tuple[str, ...]]) -> None:
    """Print a table without the columns that are empty in every row."""
    used = [index for index in range(len(names)) if any(row[index] for row in rows)]
    print_table([names[index] for index in used], [[row[index] for index in used] for row in rows])


def _cells(made: Estimate) -> tuple[str, ...]:
    return (
        with_range(made.rows, amount),
        with_range(made.tokens, amount),
        with_range(made.bytes, size),
        with_range(made.llm_in, amount),
        with_range(made.llm_out, amount),
        with_range(made.core_seconds, duration),
        with_range(made.gpu_seconds, duration),
        with_range(made.money, money),
    )


def _sums(made: Iterable[Estimate]) -> tuple[str, ...]:
    """The cells of several assets together, of what is known; "+ ?" where a part is not known."""
    made = list(made)
    columns = [
        ([e.bytes for e in made], size),
        ([e.llm_in for e in made], amount),
        ([e.llm_out for e in made], amount),
        ([e.core_seconds for e in made], duration),
        ([e.gpu_seconds for e in made], duration),
        ([e.money for e in made], money),
    ]
    return tuple(_sum(values, form) for values, form in columns)


def _sum(values: Sequence[Value | None], form: Callable[[float, int], str]) -> str:
    """The sum of what is known, "" where nothing applies."""
    applying = [value for value in values if value is not None]
    if not applying:
        return ""
    return with_range(_known_total(applying), form) + (" + ?" if any(isinstance(v, Unknown) for v in applying) else "")


def _known_total(values: Iterable[Value | None]) -> Value:
    return total(value for value in values if isinstance(value, Figure))


def _not_known(made: dict[str, Estimate]) -> dict[str, list[str]]:
    """The reasons why figures are not known, each with the assets that it concerns."""
    reasons: dict[str, list[str]] = {}
    for name, estimate in made.items():
        for reason in dict.fromkeys(v.reason for v in estimate.values().values() if isinstance(v, Unknown)):
            reasons.setdefault(reason, []).append(name)
    return reasons


def print_derivations(plan: Plan, names: Sequence[str]) -> None:
    """How every figure of the assets is derived: the figures on the way, and the inputs with their sources."""
    for name in names:
        click.echo(f"\n{name}")
        for what, value in plan.of(name).values().items():
            if isinstance(value, Unknown):
                click.echo(f"  {what}: {value}")
                continue
            click.echo(f"  {what}: {with_range(value, amount)}")
            for part in derived_from(value):
                click.echo(f"    from {part.name} = {part.source}")


def print_comparison(lines: Sequence[Comparison]) -> None:
    """Derived totals beside published ones, and the explanations of large differences below."""
    rows = []
    for line in lines:
        ratio = "" if line.ratio is None else f"{line.ratio:.2f}"
        rows.append((line.name, with_range(line.derived, amount), amount(line.published), ratio, line.source))
    print_table(("total", "derived", "published", "ratio", "published in"), rows)
    for line in lines:
        if not line.is_close:
            click.echo(f"\n{line.name}: {line.why or 'the difference is not explained'}")


# -- changes -----------------------------------------------------------------------------------------------------------


def print_changes(selection: str | None, change: Sequence[str], against: str | None) -> None:
    """What becomes stale when the recipe in force is changed, and what making it again takes."""
    before = current_recipe()
    after = changed_recipe(load_recipe(against) if against else before, assignments(change))
    check_names(after.sft)
    values = changed_values(before, after)
    if not values:
        click.echo("no value changes, so no asset becomes stale")
        return
    for key, (old, new) in values.items():
        click.echo(f"{key}: {short(old)} -> {short(new)}")
    chosen = {name for name, _ in assets(selection)}
    found = [line for line in stale(asset_nodes(), before, after) if line.asset in chosen]
    click.echo()
    if not found:
        click.echo("No asset becomes stale: no asset's result depends on these values.")
        return
    plan = Plan(after)
    made = {line.asset: _without_stored(plan.of(line.asset), line.again) for line in found}
    _print(
        ("stale", "because", "rows", "LLM tokens out", "CPU time", "GPU time", "USD"),
        [(line.asset, line.because, *_remade(line, made[line.asset])) for line in found],
    )
    names = ("", "stored", "LLM tokens in", "LLM tokens out", "CPU time", "GPU time", "USD")
    click.echo()
    _print(names, [("at most, together", *_sums(made.values()))])
    click.echo("\nThis is the most: an asset whose inputs turn out to have the same content is not made again.")
    _print_answers(found)


def _without_stored(made: Estimate, again: Value | None) -> Estimate:
    """The estimate without the answers that the ledger has: `again` is the most tokens that models write again."""
    if not isinstance(again, Figure) or not isinstance(made.llm_out, Figure):
        return made
    share = (again / made.llm_out).up_to(1.0)
    shared = {name: getattr(made, name) for name in ("llm_in", "gpu_seconds", "fees")}
    return replace(made, llm_out=again, **{name: v if v is None else v * share for name, v in shared.items()})


def _remade(line: Stale, made: Estimate) -> tuple[str, ...]:
    return (
        with_range(made.rows, amount),
        with_range(line.again, amount),
        with_range(made.core_seconds, duration),
        with_range(made.gpu_seconds, duration),
        with_range(made.money, money),
    )


def _print_answers(found: Sequence[Stale]) -> None:
    """What becomes of the stored answers of language models."""
    asking = [line for line in found if line.paid_again]
    stored = _stored_answers() if asking else {}
    for line in asking:
        answers, tokens = stored.get(line.asset, (0, 0))
        bounds = list(dict.fromkeys(with_range(value, amount) for value in (line.certain, line.again)))
        click.echo(f"{line.asset}: answers to pay again: {line.paid_again}; {' to '.join(bounds)} tokens")
        if answers:
            click.echo(f"  the ledger of this lake has {counted(answers, 'answer')} of it, {counted(tokens, 'token')}")


def _stored_answers() -> dict[str, tuple[int, int]]:
    """The number of answers in the ledger, and of their tokens, by asset. Empty before the ledger's first answer."""
    from nemotron_assets.definitions import lake
    from resources.generations import GENERATIONS
    from resources.warehouse import Warehouse

    if not lake.read(GENERATIONS).exists:
        return {}
    with Warehouse(root=lake.root, storage_options=lake.storage_options).connect() as connection:
        rows = connection.execute("select asset, sum(answers), sum(output_tokens) from llm.usage group by asset")
        return {_writer_of(asset): (int(answers), int(tokens)) for asset, answers, tokens in rows.fetchall()}


def _writer_of(table: str) -> str:
    """The asset that writes a table: itself, or the asset that it is written beside."""
    graph = _graph()
    key = dg.AssetKey(table.split("."))
    if key not in graph.get_all_asset_keys() or key in graph.executable_asset_keys:
        return table
    return ".".join(min(graph.get(key).parent_keys).path)


def asset_nodes() -> dict[str, Node]:
    """What decides about every asset of the graph, in topological order."""
    graph = _graph()
    found = {}
    for key in graph.toposorted_asset_keys:
        node = graph.get(key)
        sections = (node.metadata or {}).get("recipe_sections", "")
        names = tuple(filter(None, str(getattr(sections, "value", sections)).split(", ")))
        found[".".join(key.path)] = Node(names, tuple(sorted(".".join(parent.path) for parent in node.parent_keys)))
    return found


def code_version_of(asset: str) -> str:
    """The name of an asset with its code version, which changes with its code and its values in the recipe."""
    return f"{asset}@{_graph().get(dg.AssetKey(asset.split('.'))).code_version}"


def written_beside(asset: str) -> list[str]:
    """The tables that an asset writes beside its own."""
    graph = _graph()
    beside = graph.get(dg.AssetKey(asset.split("."))).child_keys - graph.executable_asset_keys
    return sorted(".".join(key.path) for key in beside)


def assignments(change: Sequence[str]) -> dict[str, Any]:
    """KEY=VALUE texts as values by key. A value is written as in a recipe file."""
    values = {}
    for text in change:
        key, equals, value = text.partition("=")
        if not equals or not key:
            raise RecipeError(f"--change {text!r}: write KEY=VALUE, as web.quality.annotations.documents=64")
        try:
            values[key.replace("/", ".")] = yaml.safe_load(value)
        except yaml.YAMLError as error:
            raise RecipeError(f"--change {text!r}: the value is not valid YAML: {error}") from None
    return values


def short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
