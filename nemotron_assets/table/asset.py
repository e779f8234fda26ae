"""Makes Dagster assets and checks of tables, with the conventions of this project.

This is the only module of the package that imports Dagster and the recipe. Worker processes import declarations and
plain functions, and load neither.
"""

from __future__ import annotations

import functools
import inspect
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import dagster as dg

from nemotron_assets.conditions import follow_inputs
from nemotron_assets.dagster_private import input_record, input_tags
from nemotron_assets.recipe import Recipe, current_recipe
from nemotron_assets.stages import all_tables, partitions_of
from nemotron_assets.table.ids import content_hash
from nemotron_assets.table.origins import column_origins
from nemotron_assets.table.parts import Batches, Parts
from nemotron_assets.table.progress import CpuClock, watched
from nemotron_assets.table.schema import Table

# Dagster warns that checks of single partitions are a preview. They work in the Dagster version of the lock file.
warnings.filterwarnings("ignore", category=dg.PreviewWarning)


def owners(group: str) -> list[str]:
    """The owners of the assets of a group: each has a team of its own name, which is who to ask."""
    return [f"team:{group}"]


#: A failed request to a model or server may succeed later; finished work is not repeated.
RETRIES = dg.RetryPolicy(max_retries=2, delay=15, backoff=dg.Backoff.EXPONENTIAL)


def column_schema(table: Table) -> dg.TableSchema:
    """The columns of a table as Dagster's UI shows them."""
    return dg.TableSchema(
        columns=[
            dg.TableColumn(c.name, c.dtype, c.meaning, constraints=dg.TableColumnConstraints(nullable=c.nullable))
            for c in table.columns
        ]
    )


def column_lineage(table: Table) -> dg.TableColumnLineage:
    """The columns of other tables that each column of a table is made of, as Dagster's UI shows them."""
    deps = {
        column: [dg.TableColumnDep(dg.AssetKey(origin.split(".")[:2]), origin.split(".")[2]) for origin in origins]
        for column, origins in column_origins(table, all_tables()).items()
    }
    return dg.TableColumnLineage(deps)


def code_version(table: Table, sections: Iterable[str], code: str) -> str:
    """The Dagster code version of an asset. It changes with the values in the recipe's `sections` ("web.quality"), with
    the table's schema version, and with `code`."""
    recipe = current_recipe()
    return content_hash("\x1f".join([code, str(table.version), *map(recipe.section_hash, sections)]))[:16]


def table_asset(
    table: Table,
    *,
    recipe: str | Sequence[str],
    code: str = "1",
    ins: Mapping[str, Table] | None = None,
    deps: Sequence[Table] = (),
    kinds: Iterable[str] = (),
    automation: dg.AutomationCondition | None = None,
    metadata: Mapping[str, Any] | None = None,
    **options: Any,
) -> Callable[[Callable[..., Any]], dg.AssetsDefinition]:
    """Turn a function that returns the rows of a table into the Dagster asset of that table.

    - `recipe`: the recipe sections ("web.quality") that the asset depends on. Their values and `code` form the code
      version, so that a changed number makes the asset stale. Raise `code` when the logic changes.
    - `ins`: the tables that the function receives as `Reader`s, by argument name.
    - `deps`: further tables that the function reads, and opens itself.
    - `options`: passed on to `dagster.asset`.

    The function returns anything that `Lakehouse.write` takes, or is a generator of frames.
    """
    sections = (recipe,) if isinstance(recipe, str) else tuple(recipe)

    def decorate(function: Callable[..., Any]) -> dg.AssetsDefinition:
        explained = _naming_damage(function, (*(ins or {}).values(), *deps))

        @functools.wraps(function)
        def compute(*args: Any, **kwargs: Any) -> Any:
            given = (*args, *kwargs.values())
            context = next((a for a in given if isinstance(a, dg.AssetExecutionContext)), None) or _current_step()
            recipe = next((a for a in given if isinstance(a, Recipe)), None) or current_recipe()
            _announce_expected(context, table, recipe)
            clock = CpuClock()
            result = explained(*args, **kwargs)
            result = Batches(result) if inspect.isgenerator(result) else result
            if context and not isinstance(result, Batches | Parts):  # of the others, the lake asks when all is made
                context.add_output_metadata(clock.facts())
            return watched(result, context.log.info, clock) if context else result

        _read_once(compute)
        return dg.asset(
            key=table.asset_key,
            ins={name: dg.AssetIn(key=source.asset_key) for name, source in (ins or {}).items()},
            deps=[source.asset_key for source in deps],
            group_name=table.group_name,
            description=inspect.getdoc(function) or table.description,
            partitions_def=partitions_of(table),
            code_version=code_version(table, sections, code),
            kinds={"delta", *kinds},
            owners=owners(table.group_name),
            automation_condition=automation or follow_inputs(),
            metadata={**_table_metadata(table), "recipe_sections": ", ".join(sections), **(metadata or {})},
            output_required=True,
            **options,
        )(compute)

    return decorate


def table_check(
    table: Table, *, blocking: bool = False, reads: Sequence[Table] = (), **options: Any
) -> Callable[[Callable[..., Any]], dg.AssetChecksDefinition]:
    """Turn a function into a Dagster asset check of `table`. If the table has partitions, the check runs per partition.

    `reads` names other tables that the check reads. When a `blocking` check fails, downstream assets do not run.
    """

    def decorate(function: Callable[..., Any]) -> dg.AssetChecksDefinition:
        named = _naming_damage(function, (table, *reads))
        check = dg.asset_check(
            asset=table.asset_key,
            partitions_def=partitions_of(table),
            blocking=blocking,
            additional_deps=[other.asset_key for other in reads],
            **{"description": inspect.getdoc(function), **options},
        )
        return check(_read_once(named))

    return decorate


def _read_once(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function with its signature at hand and without a docstring: Dagster asks for the signature dozens of times,
    and would parse the docstring for the meanings of arguments. Both take a fifth of the time to load the assets."""
    function.__signature__ = inspect.signature(function, eval_str=True)
    function.__doc__ = None
    return function


def _current_step() -> dg.AssetExecutionContext | None:
    """The context of the step that runs; None if the function is called outside a run."""
    try:
        return dg.AssetExecutionContext.get()
    except dg.DagsterInvariantViolationError:
        return None


def _announce_expected(context: dg.AssetExecutionContext | None, table: Table, recipe: Recipe) -> None:
    """Log what the step is expected to make and take. For a long step, the figures also stand in the UI, as an
    observation of the asset, before the step does anything. An estimate that fails never stops a step."""
    from nemotron_assets.planning.steps import expected

    if context is None:
        return
    try:
        figures = expected(recipe, table.full_name)
    except Exception as error:
        context.log.warning(f"what this step takes could not be estimated: {type(error).__name__}: {error}")
        return
    context.log.info(f"expected: {figures}")
    if figures.is_long:
        partition = context.partition_key if context.has_partition_key else None
        shown = {f"expected {name}": value for name, value in figures.figures.items()}
        context.log_event(dg.AssetObservation(table.asset_key, partition=partition, metadata=shown))


def _naming_damage(function: Callable[..., Any], tables: Iterable[Table]) -> Callable[..., Any]:
    """The function, with an error that names the damaged file in the place of a library's error about its bytes. The
    lake is an argument of the function, or comes with the `Reader`s."""

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        try:
            return function(*args, **kwargs)
        except BaseException as error:  # a panic of polars is not an Exception
            lakes = (getattr(value, "lake", value) for value in (*args, *kwargs.values()))
            lake = next((found for found in lakes if hasattr(found, "damage_behind")), None)
            if lake is not None and (damage := lake.damage_behind(error, tables)):
                raise damage from None
            raise

    return call


def table_spec(table: Table, *, made_by: dg.AssetsDefinition | Sequence[str]) -> dg.AssetSpec:
    """The asset of a table that the asset `made_by` writes in the same pass, beside its own table. For a table that
    several assets write, `made_by` are the full names of their tables."""
    several = not isinstance(made_by, dg.AssetsDefinition)
    makers = [dg.AssetKey(name.split(".")) for name in made_by] if several else [made_by.key]
    return dg.AssetSpec(
        table.asset_key,
        deps=makers,
        description=f"{table.description} Written by {', '.join(key.to_user_string() for key in makers)} in the same "
        "pass.",
        group_name=table.group_name,
        partitions_def=partitions_of(table),
        kinds={"delta"},
        owners=owners(table.group_name),
        metadata=_table_metadata(table),
    )


def materialized(context: dg.AssetExecutionContext, table: Table, lake: Any, **metadata: Any) -> None:
    """Tell Dagster that this step has also written `table`: the step's partition of it, or the whole table."""
    partition = context.partition_key if table.partition_by and context.has_partition_key else None
    rows = {("dagster/partition_row_count" if partition else "dagster/row_count"): lake.read(table, partition).rows}
    shown = {**rows, "dagster/column_lineage": column_lineage(table), **metadata}
    context.log_event(dg.AssetMaterialization(table.asset_key, partition=partition, metadata=shown))


def rewriting(context: dg.AssetExecutionContext, table: Table) -> dict[str, Any]:
    """The arguments for a step that also rewrites other partitions of `table`: `run_id`, `code_version` and `announce`.

    `announce(updated)` tells Dagster which partitions hold something else than Dagster knows, so that exactly the
    assets made from these partitions become stale. The step must read its inputs after it has called this function.
    """
    newest = context.instance.event_log_storage.get_maximum_record_id() or 0
    return {
        "run_id": context.run_id,
        "code_version": context.assets_def.get_asset_spec(table.asset_key).code_version or "",
        "announce": lambda updated: _announce(context, table, updated, newest),
    }


def _announce(context: dg.AssetExecutionContext, table: Table, updated: Iterable[Any], newest_input: int) -> None:
    """Log a materialisation for each partition whose content, or whose inputs, are not those of its last
    materialisation. An item of `updated` has the fields `snapshot` (the partition) and `result` (of its write); see
    dedup/arrivals.py. `newest_input` is the event log's last record of which the step has certainly read the result.

    Dagster's own record decides, and not whether this run rewrote the partition: an earlier run may have been killed
    after it did. This run ends with the materialisation of its own partition, so a run that is killed before it has
    announced everything is stale, and is run again.
    """

    def latest(key: dg.AssetKey, partition: str, until: int | None = None) -> dg.EventLogRecord | None:
        before = None if until is None else until + 1
        wanted = dg.AssetRecordsFilter(asset_key=key, asset_partitions=[partition], before_storage_id=before)
        return next(iter(context.instance.fetch_materializations(wanted, limit=1).records), None)

    for change in updated:
        before = latest(table.asset_key, change.snapshot)
        if before is None:  # the run that makes the partition has not ended, and will say what is in it
            continue
        # Tags of the last materialisation stay (code version, for example), but the inputs are now the newest ones.
        known = before.asset_materialization.tags or {}
        tags = {**known, "dagster/data_version": change.result.data_version}
        is_known = _data_version(before) == change.result.data_version
        for key in context.assets_def.asset_deps[table.asset_key]:
            if record := latest(key, change.snapshot, until=newest_input):
                used = latest(key, change.snapshot, until=input_record(known, key))
                is_known = is_known and _data_version(used) == _data_version(record)
                tags |= input_tags(key, record)
        if is_known:
            continue
        context.log_event(
            dg.AssetMaterialization(
                table.asset_key,
                description=f"Brought up to date because {context.partition_key} arrived or changed.",
                partition=change.snapshot,
                metadata={
                    "dagster/partition_row_count": change.result.rows,
                    "delta_version": change.result.version,
                    "rewritten_for": context.partition_key,
                    "dagster/column_lineage": column_lineage(table),
                },
                tags=tags,
            )
        )


def _data_version(record: dg.EventLogRecord | None) -> str | None:
    return (record.asset_materialization.tags or {}).get("dagster/data_version") if record else None


def _table_metadata(table: Table) -> dict[str, Any]:
    return {"dagster/column_schema": column_schema(table), "dagster/table_name": table.full_name}
