"""A small lake with consistent rows in most tables, so that reports and traces can be checked by hand.

There are two snapshots of two WARC files with five pages each, numbered 0 to 4. Page 4 of a file gives no document.
Document 0 of each file of S2 repeats document 0 of the same file of S1; document 1 of the second file of S1 repeats
document 1 of the first file. Unique English documents are curated and get questions and answers; those of high quality
are also rephrased and translated. Pages of high and medium quality are published. Documents with the number 3 are held
out of the training sequences. Some documents in French are dropped by rules.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

from nemotron_assets.recipe import load_recipe
from nemotron_assets.recipe.categories import CATEGORY_OF
from nemotron_assets.stages import all_tables
from nemotron_assets.table.ids import row_id
from nemotron_assets.table.schema import Table
from resources.lakehouse import Lakehouse
from resources.warehouse import Warehouse
from tests.pages import hash_of
from tests.sql.align_rows import add_align
from tests.sql.code_rows import add_code
from tests.sql.math_rows import add_mathematics
from tests.sql.web_rows import SNAPSHOTS, START, add_web

_DEFAULTS: Mapping[str, Any] = {
    "string": "", "binary": b"", "bool": False, "int32": 0, "int64": 0, "float32": 0.0, "float64": 0.0,
    "timestamp": START,
}  # fmt: skip


class Opened:
    """A warehouse with one open connection, because a new connection takes long to load the Delta extension."""

    def __init__(self, root: Path) -> None:
        self.warehouse = Warehouse(root=str(root / "lake"), catalog=str(root / "cache" / "lake.duckdb"))
        self.warehouse.refresh()
        self.connection = self.warehouse.connect()

    def cursor(self):
        """A connection to the same catalog, with its own settings and variables."""
        cursor = self.connection.cursor()
        cursor.execute("use lake")
        return cursor


def frame(table: Table, rows: list[dict[str, Any]]):
    """Rows as an Arrow table of the declared schema. Missing columns get null, an empty list, "" or 0."""
    import pyarrow as pa

    unknown = {name for row in rows for name in row} - set(table.column_names)
    assert not unknown, f"{table.full_name} has no column {unknown}"

    def default(column) -> Any:
        return None if column.nullable else _DEFAULTS.get(column.dtype, [])

    filled = [{c.name: row.get(c.name, default(c)) for c in table.columns} for row in rows]
    return pa.Table.from_pylist(filled, table.arrow_schema())


def rows_without_models() -> dict[str, list[dict[str, Any]]]:
    """The rows of all tables but training sequences, models and scores, by full table name."""
    rows: dict[str, list[dict[str, Any]]] = defaultdict(list)
    add_code(rows)
    for snapshot in SNAPSHOTS:
        add_mathematics(rows, snapshot)
    add_web(rows)
    _add_contaminated(rows)
    _add_thresholds(rows)
    add_align(rows)
    return dict(rows)


def _add_thresholds(rows: dict[str, list[dict[str, Any]]]) -> None:
    """What one rule keeps of a source and of two hosts, at three multiples of its threshold."""
    for by, name, kept in (("source", "S1", (2, 5, 8)), ("host", "a", (0, 1, 8)), ("host", "b", (8, 8, 10))):
        for factor, count in zip((0.5, 1.0, 2.0), kept, strict=True):
            rows["audit.thresholds"].append(
                {
                    "id": row_id("audit.thresholds", by, name, str(factor)),
                    "measured": "web.measures",
                    "rule": "digit_share",
                    "bound": "max",
                    "by": by,
                    "name": name,
                    "factor": factor,
                    "threshold": 0.15 * factor,
                    "rows": 10,
                    "kept": count,
                    "kept_share": count / 10,
                }
            )


def _add_contaminated(rows: dict[str, list[dict[str, Any]]]) -> None:
    """A row of SFT data, and the benchmark item that was found in it."""
    task = row_id("sft.procedural", 1)
    rows["sft.procedural"].append({"id": task, "task": "chain_sum", "status": "verified", "split": "train"})
    rows["sft.contaminated"].append(
        {"id": row_id("sft.contaminated", 1), "parents": [task], "sources": ["sft.procedural"], "removed": True,
         "source": "sft.procedural", "benchmark": "gsm8k", "item": "gsm8k-test-1", "split": "test", "rule": "overlap",
         "field": "question", "matched": 3, "of": 9, "share": 1 / 3, "ngrams": ["a ferry carries 48 cars"]}
    )  # fmt: skip


def blended(rows: Mapping[str, list[dict[str, Any]]]) -> dict[str, list[dict[str, Any]]]:
    """The blend of all published, multilingual and code texts that are not held out: every document as tokens, and
    sequences of three pieces each. A page is cut into two pieces; every other text is one piece."""
    held_out = {hash_of(d["url"]) for d in rows["web.unique_documents"] if d["url"].endswith("/3")}
    documents, pieces = [], []

    def add(row: dict[str, Any], table: str, lengths: list[int], data_set: str) -> None:
        id_ = row_id("blend.token_shards", table, row["id"])
        documents.append(
            {
                "id": id_,
                "parents": [row["id"]],
                "sources": [table],
                "part": "all/-/000000",
                "category": CATEGORY_OF[data_set],
                "data_set": data_set,
                "position": len(documents),
                "tokens": [1] * sum(lengths),
                "length": sum(lengths),
            }
        )
        for number, length in enumerate(lengths):
            pieces.append((id_, len(documents) - 1, length, sum(lengths[:number])))

    for table in ("web.nemotron_cc_v2", "web.multilingual"):
        for row in rows[table]:
            if (row["origin_hash"] if "origin_hash" in row else hash_of(row["url"])) in held_out:
                continue
            length = row["characters"] % 7 + 1
            is_page = row.get("sources", ["web.curated"]) == ["web.curated"]
            data_set = f"{table}/{row['subset']}" if "subset" in row else table
            add(row, table, [40, length] if is_page else [40 + length], data_set)
    for table in ("code.curated", "code.qa"):
        for row in rows[table]:
            add(row, table, [row["tokens"]], table)
    blend = load_recipe("laptop").blend
    sequences = [
        {
            "id": row_id("blend.sequences", length, at),
            "parents": [p[0] for p in some],
            "part": length,
            "category": "code",
            "data_set": "code.qa",
            "shard": "all/-/000000",
            "position": at // 3,
            "documents": [p[1] for p in some],
            "piece_lengths": [p[2] for p in some],
            "piece_offsets": [p[3] for p in some],
            "tokens": sum(p[2] for p in some),
        }
        for length in (str(blend.sequence_length), str(blend.long_context.sequence_length))
        for at in range(0, len(pieces), 3)
        for some in [pieces[at : at + 3]]
    ]
    return {"blend.token_shards": documents, "blend.sequences": sequences}


def planned(lake: Lakehouse) -> dict[str, list[dict[str, Any]]]:
    """The categories and phases of the blend in a lake."""
    from nemotron_assets.blend.phases import phase_rows
    from nemotron_assets.blend.supply import category_rows

    recipe, tables = load_recipe("laptop"), all_tables()
    shards, sequences = (lake.read(tables[name]).scan() for name in ("blend.token_shards", "blend.sequences"))
    categories = category_rows(shards, sequences, recipe.blend, tables)
    return {"blend.categories": categories.to_dicts(), "blend.phases": phase_rows(recipe, categories).to_dicts()}


def write(lake: Lakehouse, rows: Mapping[str, list[dict[str, Any]]]) -> None:
    """Write rows as the pipeline does, with one commit per partition."""
    declared = all_tables()
    # The quarantine comes last: to write the rows of a stage replaces the stage's rejects.
    for name in sorted(rows, key=lambda name: name == "quarantine.rows"):
        table, content = declared[name], rows[name]
        partitions = sorted({row[table.partition_by] for row in content}) if table.partition_by else [None]
        for partition in partitions:
            selected = [r for r in content if partition is None or r[table.partition_by] == partition]
            lake.write(table, frame(table, selected), partition)


def fill(lake: Lakehouse) -> dict[str, list[dict[str, Any]]]:
    """Write rows into all tables that tests use; returns the rows by full table name."""
    rows = rows_without_models()
    rows |= blended(rows)
    write(lake, rows)
    rows |= (plans := planned(lake))
    write(lake, plans)
    versions = [lake.read(all_tables()[name]).input_version for name in ("blend.token_shards", "blend.sequences")]
    base = {"name": "tiny-hybrid", "uri": "weights/1", "sha256": "cd", "parameters": 1000, "tokens_seen": 500,
            "steps": 20, "final_loss": 3.5, "recipe_hash": "ef", "run_id": "run1"}  # fmt: skip
    models = [
        {**base, "id": row_id("models.base", 1), "version": "1", "input_versions": versions,
         "source_versions": ["code.curated@0"], "at": START},
        {**base, "id": row_id("models.base", 2), "version": "2", "parents": [row_id("models.base", 1)],
         "sources": ["models.base"], "at": START + timedelta(days=1), "input_versions": versions},
    ]  # fmt: skip
    scores = [
        {
            "id": row_id("evaluate.benchmark_scores", m["version"], task),
            "model": m["name"],
            "model_id": m["id"],
            "model_version": m["version"],
            "task": task,
            "metric": metric,
            "value": value - 0.1 * n,
            "samples": 10,
            "input_versions": ["models.base@1", "web.unique_documents@3"],
            "at": START + timedelta(days=2 + n),
        }
        for n, m in enumerate(models)
        for task, metric, value in (("arc", "acc", 0.3), ("held_out_english_web", "bits_per_byte", 1.5))
    ]
    metrics = [
        {
            "model": "tiny-hybrid",
            "model_id": models[0]["id"],
            "run_id": f"run{step // 12}",
            "step": step,
            "tokens": 25 * step,
            "loss": 5.0 - step / 20,
            "lr": 0.001,
            "grad_norm": 1.0 + step % 3,
            "tokens_per_second": 100.0 + step,
            "at": START + timedelta(seconds=step),
        }
        for step in range(1, 21)
    ]
    left_out = [{"model_id": metrics[0]["model_id"], "step": 11, "kind": "spike", "action": "skip"}]
    left_out += [{**left_out[0], "step": 12, "kind": "resumed", "action": "continue"}]
    more = {"models.base": models, "models.training_metrics": metrics, "evaluate.benchmark_scores": scores}
    more["models.training_events"] = left_out
    write(lake, more)
    return {**rows, **more}
