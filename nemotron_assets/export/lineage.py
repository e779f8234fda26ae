"""What the lake knows about a model version: the models and data that it was made from, its training, and its scores.

`describe` reads it from the model's row and from the tables that the row names, at the versions that it names. A model
card shows it, and export.json holds it for programs.
"""

from __future__ import annotations

import importlib.metadata
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from nemotron_assets.recipe.categories import SOURCES
from nemotron_assets.stages import all_tables
from nemotron_assets.table.schema import Table

if TYPE_CHECKING:
    import polars as pl

    from resources.lakehouse import Lakehouse, Reader

#: Names of the column with the licence of a row.
_LICENCES = ("license", "licence")
#: The table of web pages: the text of every table below it may be theirs.
_PAGES = "snapshots.pages"


def describe(lake: Lakehouse, table: Table, row: Mapping[str, Any]) -> dict[str, Any]:
    """The facts about the model version `row` of `table`, as JSON values.

    "made" are the versions that it was made from and itself, the earliest first, each with its training. "data" are the
    tables that their training data was packed from. "scores" are those of the version itself.
    """
    chain = _chain(lake, table, row)
    return {
        "made": [_version(lake, above, made) for above, made in chain],
        "data": [one for name, at in _data_tables(chain).items() if (one := _data(lake, name, at)).get("rows") != 0],
        "snapshots": _snapshots(lake),
        "scores": _scores(lake, row["id"]),
        "package": f"nemotron-lakehouse {importlib.metadata.version('nemotron-lakehouse')}",
    }


def _chain(lake: Lakehouse, table: Table, row: Mapping[str, Any]) -> list[tuple[Table, Mapping[str, Any]]]:
    """The model with all models that it was made from, the earliest first. A model that the lake has lost is left
    out."""
    import polars as pl

    tables, found, waiting = all_tables(), {row["id"]: (table, row)}, [row]
    while waiting:
        child = waiting.pop()
        for name, id_ in zip(child["sources"], child["parents"], strict=True):
            if id_ in found or name not in tables:
                continue
            rows = lake.read(tables[name]).scan().filter(pl.col("id") == id_).collect().to_dicts()
            for parent in rows:
                found[id_] = tables[name], parent
                waiting.append(parent)
    return sorted(found.values(), key=lambda made: (made[1]["id"] == row["id"], made[1]["at"]))


def _version(lake: Lakehouse, table: Table, row: Mapping[str, Any]) -> dict[str, Any]:
    """One model version, with what is known of its training."""
    commits = [c for c in lake.open(table).history() if c.get("dagster_run_id") == row["run_id"]]
    kept = ("id", "name", "version", "sha256", "recipe_hash", "run_id", "parents", "input_versions")
    optional = ("parameters", "tokens_seen", "steps", "final_loss", "source_versions", "precision", "bf16_layers")
    training = _training(lake, row) if "steps" in row else None
    return {
        "table": table.full_name,
        **{name: row[name] for name in kept},
        **{name: row[name] for name in optional if row.get(name) is not None},
        "made_at": row["at"].isoformat(timespec="seconds"),
        "code_version": next((c["code_version"] for c in commits if c.get("code_version")), None),
        **({"training": training} if training else {}),
    }


def _training(lake: Lakehouse, row: Mapping[str, Any]) -> dict[str, Any] | None:
    """Duration, speed, tokens by category and phase, and what happened beside the steps of a training."""
    curve = _of_model(lake, "models.training_metrics", row["id"])
    if curve is None:
        return None
    curve = curve.sort("step")
    tokens = curve["tokens"].diff().fill_null(curve["tokens"][0])
    measured = {
        "began": curve["at"].min().isoformat(timespec="seconds"),
        "ended": curve["at"].max().isoformat(timespec="seconds"),
        "seconds": round(float((tokens / curve["tokens_per_second"].replace(0.0, None)).sum()), 1),
        "tokens_per_second": round(curve["tokens_per_second"].median()),
    }
    for name, value in (("mfu", "median"), ("peak_memory_bytes", "max")):
        if curve[name].is_not_null().any():
            measured[name] = getattr(curve[name], value)()
    measured["devices"] = curve["devices"].drop_nulls().unique(maintain_order=True).to_list()
    events = _of_model(lake, "models.training_events", row["id"])
    by_kind: dict[str, list[int]] = {}
    for kind, step in () if events is None else events.sort("step").select("kind", "step").iter_rows():
        by_kind.setdefault(kind, []).append(step)
    return measured | {"events": by_kind, "phases": _phases(lake, row, curve)}


def _phases(lake: Lakehouse, row: Mapping[str, Any], curve: pl.DataFrame) -> list[dict[str, Any]]:
    """The phases of a training with the tokens of each category.

    The tokens are those that were counted. Between two rows of the metrics they are interpolated, and `exact` is false.
    Without counts (older rows) they are what the phase was planned to read. A training without phases has one.
    """
    import polars as pl

    counted = curve.filter(pl.col("categories").is_not_null())
    steps = [0, *counted["step"]]
    names = sorted({name for row in counted["categories"] for name in row})
    until = {name: [0] for name in names}
    for categories, tokens in counted.select("categories", "category_tokens").iter_rows():
        seen = dict(zip(categories, tokens, strict=True))
        for name in names:
            until[name].append(seen.get(name, until[name][-1]))

    found, last = [], 0
    for name, planned in _planned(lake, row, set(curve["phase"].drop_nulls())):
        first, last = last + 1, last + planned["steps"][0]
        if names:
            tokens = {c: round(_at(steps, until[c], last) - _at(steps, until[c], first - 1)) for c in names}
        else:
            tokens = dict(planned.group_by("category").agg(pl.col("tokens").sum()).sort("category").iter_rows())
        tokens = {category: count for category, count in tokens.items() if count}
        exact = bool(names) and {first - 1, last} <= set(steps)
        found.append({"phase": name, "steps": last - first + 1, "exact": exact, "tokens": tokens})
    if not found and names:
        found = [{"phase": "all", "steps": steps[-1], "exact": True, "tokens": {c: until[c][-1] for c in names}}]
    return found


def _at(steps: Sequence[int], values: Sequence[int], step: int) -> float:
    """The value at a step, on the straight line between the rows around it."""
    import numpy as np

    return float(np.interp(step, steps, values))


def _planned(lake: Lakehouse, row: Mapping[str, Any], measured: set[str]) -> list[tuple[str, pl.DataFrame]]:
    """The phases that a training was planned with, in the order of time: those whose steps are all its steps, and with
    the names that its metrics have."""
    import polars as pl

    versions = dict(name.split("@") for name in row["input_versions"])
    if "blend.phases" not in versions:
        return []
    reader = _reader(lake, "blend.phases", versions)
    rows = reader.scan().filter(pl.col("steps") > 0).sort("number").collect()
    of_pretraining = pl.col("phase_share").is_not_null()
    for group in (rows.filter(of_pretraining), rows.filter(~of_pretraining)):
        phases = [(one["phase"][0], one) for one in group.partition_by("number", maintain_order=True)]
        all_steps = sum(one["steps"][0] for _, one in phases)
        if phases and all_steps == row["steps"] and measured <= {name for name, _ in phases}:
            return phases
    return []


def _data_tables(chain: Sequence[tuple[Table, Mapping[str, Any]]]) -> dict[str, int]:
    """{table: newest version} of the tables that the training data of the models was packed from."""
    found: dict[str, int] = {}
    for _, row in chain:
        for name in row.get("source_versions") or ():
            table, _, version = name.partition("@")
            if table in SOURCES:  # others decide what is left out: sft.contaminated
                found[table] = max(int(version), found.get(table, -1))
    return dict(sorted(found.items()))


def _data(lake: Lakehouse, name: str, version: int) -> dict[str, Any]:
    """A table of training data: its rows, licences, languages and generators, and whether web pages are behind it."""
    table = all_tables().get(name)
    facts: dict[str, Any] = {"table": name, "version": version}
    if table is None or not (reader := _reader(lake, name, {name: version})).exists:
        return facts
    facts |= {"counted_version": reader.version, "rows": reader.rows, "description": table.description}
    if "language" in table.column_names:
        facts["languages"] = _counts(reader, "language")
    facts["all_generated"] = "generator" in table.column_names
    facts["generators"] = _generators(lake, reader)
    above = list(_above(table))
    licensed = {
        source.full_name: column
        for source in _nearest_with_licence(table)
        for column in _LICENCES
        if column in source.column_names
    }
    facts["licences"] = {
        source: _counts(reader if source == name else lake.read(all_tables()[source]), column)
        for source, column in licensed.items()
        if lake.read(all_tables()[source]).exists
    }
    facts["web_pages"] = _PAGES in above
    return facts


def _generators(lake: Lakehouse, reader: Reader) -> dict[str, int]:
    """Texts per generator: of the rows, else of the tables that they were made from (the whole tables)."""
    if "generator" in reader.table.column_names:
        return _counts(reader, "generator")
    tables, found = all_tables(), Counter()
    for name in reader.table.parents:
        if name in tables and "generator" in tables[name].column_names and lake.read(tables[name]).exists:
            found.update(_counts(lake.read(tables[name]), "generator"))
    return dict(found.most_common())


def _above(table: Table) -> Iterator[str]:
    """The full names of all tables that the rows of a table are made from, each once."""
    tables, seen, waiting = all_tables(), set(), [table]
    while waiting:
        for name in waiting.pop().parents:
            if name in tables and name not in seen:
                seen.add(name)
                waiting.append(tables[name])
                yield name


def _nearest_with_licence(table: Table) -> list[Table]:
    """The table itself if its rows have a licence, else the nearest tables above it whose rows have one."""
    tables, seen, found, waiting = all_tables(), {table.full_name}, [], [table]
    while waiting:
        one = waiting.pop(0)
        if any(column in one.column_names for column in _LICENCES):
            found.append(one)
            continue
        above = [tables[name] for name in one.parents if name in tables and name not in seen]
        seen.update(parent.full_name for parent in above)
        waiting += above
    return found


def _counts(reader: Reader, column: str) -> dict[str, int]:
    """Rows per value of a column, the most frequent first; without nulls."""
    import polars as pl

    counted = reader.scan().group_by(column).agg(rows=pl.len()).collect(engine="streaming")
    counted = counted.drop_nulls().sort(["rows", column], descending=[True, False])
    return {str(value): rows for value, rows in counted.iter_rows()}


def _snapshots(lake: Lakehouse) -> dict[str, str]:
    """{snapshot: where it comes from} of the web pages that were read."""
    reader = lake.read(all_tables()["snapshots.catalog"])
    if not reader.exists:
        return {}
    rows = reader.scan().select("snapshot", "source", "in_window").collect()
    return dict(rows.filter(rows["in_window"]).select("snapshot", "source").sort("snapshot").iter_rows())


def _scores(lake: Lakehouse, id_: str) -> list[dict[str, Any]]:
    """The scores of a model version, sorted by task."""
    rows = _of_model(lake, "evaluate.benchmark_scores", id_)
    if rows is None:
        return []
    left_out = {"id", "model", "model_id", "model_version", "input_versions", "run_id", "at"}
    kept = [name for name in rows.columns if name not in left_out]
    return rows.sort("task", "metric", "length").select(kept).to_dicts()


def _of_model(lake: Lakehouse, name: str, id_: str) -> pl.DataFrame | None:
    """The rows of a table about one model version; None if the table has no row about it."""
    import polars as pl

    table = all_tables().get(name)
    if table is None:
        return None
    rows = lake.read(table).scan().filter(pl.col("model_id") == id_).collect()
    return None if rows.is_empty() else rows


def _reader(lake: Lakehouse, name: str, versions: Mapping[str, int | str]) -> Reader:
    """A table at the version in `versions`; at its current version if the lake does not hold that one any more."""
    current = lake.read(all_tables()[name])
    return current.at(int(versions[name])) or current
