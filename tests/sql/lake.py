"""A small lake with consistent rows in most tables, so that reports and traces can be checked by hand.

Two snapshots of two WARC files of five pages each. The last page of a file gives no document; the first document of
each file of S2 repeats the one of S1, and the second of the second file of S1 repeats the first file's. All unique
documents are kept: English ones are curated and get questions and answers; what is of high quality is rephrased and
translated too, and published with the pages of medium quality. Documents with number 3 are held out of the training
sequences.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from nemotron_assets.stages import all_tables
from nemotron_assets.table.ids import content_hash, row_id
from nemotron_assets.table.schema import Table
from resources.lakehouse import Lakehouse
from resources.warehouse import Warehouse

SNAPSHOTS = ("S1", "S2")
LANGUAGES = ("en", "de", "en", "fr", "en")
START = datetime(2026, 1, 1, tzinfo=UTC)
_DEFAULTS: Mapping[str, Any] = {
    "string": "", "binary": b"", "bool": False, "int32": 0, "int64": 0, "float32": 0.0, "float64": 0.0,
    "timestamp": START,
}  # fmt: skip


class Opened:
    """A warehouse with one open connection, because loading the Delta extension anew for every query takes a while."""

    def __init__(self, root: Path) -> None:
        self.warehouse = Warehouse(root=str(root / "lake"), catalog=str(root / "cache" / "lake.duckdb"))
        self.warehouse.refresh()
        self.connection = self.warehouse.connect()

    def cursor(self):
        """A connection of its own settings to the same catalog."""
        cursor = self.connection.cursor()
        cursor.execute("use lake")
        return cursor


def frame(table: Table, rows: list[dict[str, Any]]):
    """Rows as an Arrow table of the declared schema; columns not given get null, an empty list or a neutral value."""
    import pyarrow as pa

    unknown = {name for row in rows for name in row} - set(table.column_names)
    assert not unknown, f"{table.full_name} has no column {unknown}"

    def default(column) -> Any:
        return None if column.nullable else _DEFAULTS.get(column.dtype, [])

    filled = [{c.name: row.get(c.name, default(c)) for c in table.columns} for row in rows]
    return pa.Table.from_pylist(filled, table.arrow_schema())


def _mathematics(rows: dict[str, list[dict[str, Any]]], snapshot: str) -> None:
    """A page on mathematics on its way to the corpus, and one with a benchmark item."""
    for number, outcomes in enumerate((["kept", "rules"], ["rules_dropped"])):
        page = {"snapshot": snapshot, "url": f"https://math.example/{number}"}
        text = {**page, "text": "So $x = 1$.", "characters": 11}
        made = {**text, "warc_file": f"{snapshot}.warc.gz", "formulas": 1}
        rendered, cleaned = (row_id(name, snapshot, number) for name in ("math.rendered", "math.cleaned"))
        rows["math.rendered"].append({**made, "id": rendered})
        rows["math.cleaned"].append({**made, "id": cleaned, "parents": [rendered], "outcomes": outcomes})
    rows["math.nemotron_cc_math"].append(
        {**text, "id": row_id("math.nemotron_cc_math", snapshot), "parents": [cleaned], "category": "3"}
    )
    rows["math.contamination"].append(
        {
            **page,
            "id": row_id("math.contamination", snapshot),
            "parents": [rendered],
            "sources": ["math.rendered"],
            "removed": True,
            "benchmark": "gsm8k",
            "item": "gsm8k-test-0",
            "rule": "overlap",
        }
    )


#: (repository, path, language, text, licence, decision, reasons to drop it)
_CODE_FILES = (
    ("o/one", "a.py", "Python", "x = 1", "MIT", "allowed", ()),
    ("o/one", "b.py", "Python", "print('b')", "MIT", "allowed", ("words", "lines")),
    ("o/one", "c.go", "Go", "package c", "MIT", "allowed", ()),
    ("o/two", "a.py", "Python", "x = 1", "MPL-2.0", "review", ("licence_review", "duplicate")),
    ("o/two", "gen.go", "Go", "package gen", None, "rejected", ("licence_rejected", "generated", "lines")),
    ("o/two", "d.go", "Go", "package two", "MPL-2.0", "review", ("licence_review",)),
    ("o/three", "m.go", "Go", "package m // me@example.org", "MIT", "allowed", ("secret",)),
    ("o/three", "n.go", "Go", "package n", "MIT", "allowed", ("minified",)),
)


def _code(rows: dict[str, list[dict[str, Any]]]) -> None:
    """Three repositories: one is kept but for a file, one has a copy and a licence that must be looked at, of the last
    nothing is left. Of what is kept there are snippets, and a question about one of them."""
    for repo in ("o/one", "o/two", "o/three"):
        at = {"repo": repo, "commit_id": "a" * 40}
        count = sum(file[0] == repo for file in _CODE_FILES)
        rows["code.repositories"].append({**at, "id": row_id("code.repositories", repo), "source": "s", "kind": "git"})
        rows["code.contents"].append(
            {
                **at,
                "id": row_id("code.contents", repo),
                "parents": [row_id("code.repositories", repo)],
                "entries": count + 1,
                "files": count,
                "bytes": 5 * count,
                "fates": ["kept", "binary"],
                "fate_counts": [count, 1],
                "outcome": "read",
            }
        )
    for repo, path, language, text, licence, decision, rules in _CODE_FILES:
        file = row_id("code.files", repo, path)
        where = {"repo": repo, "commit_id": "a" * 40, "rel_path": path}
        of_file = {**where, "parents": [file]}
        rows["code.files"].append(
            {
                **where,
                "id": file,
                "parents": [row_id("code.repositories", repo)],
                "language": language,
                "language_by": "extension",
                "content": text,
                "bytes": len(text),
                "content_hash": content_hash(text),
            }
        )
        rows["code.licenses"].append(
            {
                **of_file,
                "id": row_id("code.licenses", file),
                "file": file,
                "license": licence,
                "decision": decision,
                "why": licence or "no licence",
                "scope": "repository" if licence else "none",
                "evidence_kind": licence and "licence_file",
                "evidence_path": licence and "LICENSE",
                "start_line": licence and 1,
                "evidence": "[]",
            }
        )
        judged = {**of_file, "language": language, "tokens": len(text)}
        if rules:
            rows["code.dropped"].append({**judged, "id": row_id("code.dropped", file), "rules": list(rules)})
            continue
        curated = {
            **judged,
            "id": row_id("code.curated", file),
            "license": licence,
            "content": text,
            "content_hash": content_hash(text),
        }
        rows["code.curated"].append(curated)
        snippet = {"id": row_id("code.snippets", file), "parents": [curated["id"]], "language": language,
                   "license": licence, "snippet": text, "origin_hash": curated["content_hash"]}  # fmt: skip
        rows["code.snippets"].append(snippet)
        if language == "Python":
            rows["code.qa"].append(
                {
                    "id": row_id("code.qa", snippet["id"]),
                    "parents": [snippet["id"]],
                    "language": language,
                    "text": "Set x.",
                    "attempt": 2,
                    "tokens": 9,
                    "origin_hash": curated["content_hash"],
                }
            )
        else:
            rows["quarantine.rows"].append(
                {
                    "id": row_id("quarantine.rows", snippet["id"]),
                    "stage": "code.qa",
                    "partition": language,
                    "row_id": snippet["id"],
                    "cause": "truncated",
                    "at": START,
                }
            )
    rows["code.duplicates"].append(
        {
            "repo": "o/two",
            "commit_id": "a" * 40,
            "rel_path": "a.py",
            "parents": [row_id("code.files", "o/two", "a.py")],
            "id": row_id("code.duplicates", "o/two", "a.py"),
            "duplicate_of": row_id("code.files", "o/one", "a.py"),
            "duplicate_of_repo": "o/one",
            "duplicate_of_path": "a.py",
            "kind": "exact",
            "similarity": 1.0,
            "why": "licence: MIT before MPL-2.0",
        }
    )
    rows["code.attributions"].append(
        {
            "repo": "o/one",
            "commit_id": "a" * 40,
            "rel_path": "LICENSE",
            "id": row_id("code.attributions", "o/one"),
            "license": "MIT",
            "origin": "repository",
            "files": 2,
            "text": "The MIT License " + "and so on " * 40,
        }
    )


def rows_of_everything() -> dict[str, list[dict[str, Any]]]:
    """The rows of every table but models and scores, by full table name."""
    rows: dict[str, list[dict[str, Any]]] = {
        name: []
        for name in (
            "snapshots.pages",
            "snapshots.records",
            "web.extraction",
            "web.privacy",
            "web.documents",
            "web.duplicates",
            "web.unique_documents",
            "web.quality",
            "web.verdicts",
            "web.curated",
            "web.multilingual",
            "web.rephrased",
            "web.diverse_qa",
            "web.translated_diverse_qa",
            "web.translation_outcomes",
            "web.nemotron_cc_v2",
            "llm.generations",
            "quarantine.rows",
            "math.rendered",
            "math.cleaned",
            "math.contamination",
            "math.nemotron_cc_math",
            "code.repositories",
            "code.files",
            "code.contents",
            "code.licenses",
            "code.duplicates",
            "code.dropped",
            "code.curated",
            "code.attributions",
            "code.snippets",
            "code.qa",
        )
    }
    _code(rows)
    for snapshot in SNAPSHOTS:
        _mathematics(rows, snapshot)
    first: dict[tuple, dict[str, Any]] = {}
    for s, snapshot in enumerate(SNAPSHOTS):
        for f in range(2):
            warc = f"crawl-data/{snapshot}/segments/1/warc/{snapshot}-{f}.warc.gz"
            for i in range(5):
                _page(rows, first, s, snapshot, f, warc, i)
            for fate, count in (("page", 5), ("redirect", 2 + f), ("not_200", 1)):
                rows["snapshots.records"].append(
                    {
                        "id": row_id("snapshots.records", warc, fate),
                        "snapshot": snapshot,
                        "warc_file": warc,
                        "fate": fate,
                        "records": count,
                        "bytes": 100 * count,
                    }
                )
            for fate, count in (("document", 4), ("no_text", 1)):
                rows["web.extraction"].append(
                    {
                        "id": row_id("web.extraction", warc, fate),
                        "snapshot": snapshot,
                        "warc_file": warc,
                        "fate": fate,
                        "pages": count,
                        "characters": 100 * count,
                        "state": "1",
                    }
                )
            rows["web.privacy"].append(
                {
                    "id": row_id("web.privacy", warc),
                    "snapshot": snapshot,
                    "warc_file": warc,
                    "rule": "email",
                    "action": "replace",
                    "documents": 2,
                    "matches": 3 + f,
                }
            )
    for n in range(5):
        rows["quarantine.rows"].append(
            {
                "id": row_id("quarantine.rows", n),
                "stage": "web.documents",
                "partition": SNAPSHOTS[n % 2],
                "row_id": f"row{n % 4}",
                "cause": "timeout" if n < 3 else "worker_died",
                "detail": f"detail {n}",
                "at": START + timedelta(minutes=n),
            }
        )
    return rows


def _page(rows, first, s: int, snapshot: str, f: int, warc: str, i: int) -> None:
    url, host = f"https://host{i % 2}.example/{f}/{i}", f"host{i % 2}.example"
    offset, fetched = 1000 * i, START + timedelta(days=30 * s, hours=f, minutes=i)
    page = row_id("snapshots.pages", warc, offset)
    common = {"snapshot": snapshot, "url": url, "host": host, "fetched_at": fetched}
    html = f"<p>{'x' * (10 + i)}</p>".encode()
    rows["snapshots.pages"].append(
        {
            "id": page,
            **common,
            "status": 200,
            "mime": "text/html",
            "charset": "utf-8",
            "html": html,
            "warc_file": warc,
            "warc_offset": offset,
            "warc_length": 900,
            "payload_digest": content_hash(html),
            "fate": "page",
        }
    )
    if i == 4:
        return
    number = 1 if (s, f, i) == (0, 1, 1) else i
    key = (0, 0, 1) if (s, f, i) == (0, 1, 1) else (0, f, 0) if (s, i) == (1, 0) else (s, f, i)
    text = f"text of document {key} " + "word " * (10 * (i + 1))
    document = {
        "id": row_id("web.documents", page), "parents": [page], **common, "warc_file": warc,
        "language": LANGUAGES[number], "language_score": 0.9 + 0.01 * i, "text": text,
        "characters": len(text), "content_hash": content_hash(text),
    }  # fmt: skip
    rows["web.documents"].append(document)
    if key in first:
        original = first[key]
        rows["web.duplicates"].append(
            {
                "id": row_id("web.duplicates", document["id"]),
                "parents": [document["id"]],
                "snapshot": snapshot,
                "duplicate_of": original["id"],
                "duplicate_of_snapshot": original["snapshot"],
                "kind": "exact",
                "similarity": 1.0,
                "cluster": original["id"],
            }
        )
        return
    first[key] = document
    unique = {
        **{k: v for k, v in document.items() if k not in ("language_score", "warc_file", "title")},
        "id": row_id("web.unique_documents", document["id"]),
        "parents": [document["id"]],
    }
    rows["web.unique_documents"].append(unique)
    if unique["language"] == "en":
        bucket = 13 if (s, i) == (1, 2) else 19 - 6 * (i % 3)
        rows["web.quality"].append(
            {
                "id": row_id("web.quality", unique["id"]),
                "parents": [unique["id"]],
                "snapshot": snapshot,
                "edu_a_score": 2.5,
                "edu_b_score": 1.0,
                "reference_score": 0.5,
                "edu_a_bucket": bucket,
                "edu_b_bucket": 3,
                "reference_bucket": bucket - i % 2,
                "bucket": bucket,
                "level": {19: "high", 13: "medium", 7: "medium_low"}[bucket],
                "bytes": len(text.encode()),
            }
        )
    kept = {k: v for k, v in unique.items() if k not in ("host", "fetched_at")} | {"parents": [unique["id"]]}
    level = rows["web.quality"][-1]["level"] if unique["language"] == "en" else None
    failed = (["digit_share", "words"] if f else ["words"]) if (s, unique["language"]) == (1, "fr") else []
    rows["web.verdicts"].append(
        {
            "id": row_id("web.verdicts", unique["id"]),
            "parents": [unique["id"]],
            "snapshot": snapshot,
            "language": unique["language"],
            "level": level,
            "bucket": bucket if level else None,
            "failed": failed,
            "kept": not failed,
            "characters": len(text),
        }
    )
    if failed:
        return
    if unique["language"] != "en":
        rows["web.multilingual"].append({**kept, "id": row_id("web.multilingual", unique["id"])})
        return
    quality = rows["web.quality"][-1]
    curated = {**kept, "id": row_id("web.curated", unique["id"]), "level": quality["level"], "bucket": bucket}
    rows["web.curated"].append(curated)
    _written(rows, curated, s)


def _written(rows, curated: dict[str, Any], s: int) -> None:
    """What is written about a curated page, and what of it is published."""
    n = len(rows["web.diverse_qa"])
    level, hash_ = curated["level"], curated["content_hash"]
    common = {"snapshot": curated["snapshot"], "language": "en", "generator": "tiny"}

    def generation(prompt: str) -> str:
        rows["llm.generations"].append(
            {
                "id": row_id("llm.generations", n, prompt),
                "parents": [curated["id"]],
                "model": "tiny",
                "model_sha256": "ab",
                "prompt": prompt,
                "text": "Q: ? A: !",
                "prompt_tokens": 100 + n,
                "output_tokens": 20 + n,
                "finish_reason": "length" if n % 3 == 0 else "stop",
                "seconds": 2.0,
                "run_id": f"run{s}",
                "at": START + timedelta(seconds=10 * n + 2),
            }
        )
        return rows["llm.generations"][-1]["id"]

    def publish(subset: str, source: str, row: dict[str, Any]) -> None:
        rows["web.nemotron_cc_v2"].append(
            {
                "id": row_id("web.nemotron_cc_v2", subset, source, row["id"]),
                "parents": [row["id"]],
                "sources": [source],
                "snapshot": row["snapshot"],
                "subset": subset,
                "language": row["language"],
                "text": row["text"],
                "characters": len(row["text"]),
                "origin_hash": hash_,
            }
        )

    if level in ("high", "medium"):
        publish({"high": "High-Quality", "medium": "Medium-Quality"}[level], "web.curated", curated)
    qa = {**common, "id": row_id("web.diverse_qa", curated["id"]), "parents": [curated["id"]], "prompt": "diverse_qa",
          "text": "Question: ? Answer: !", "question_count": 1 + n % 2, "tokens": 30 + n,
          "generation_id": generation("diverse_qa")}  # fmt: skip
    rows["web.diverse_qa"].append(qa)
    if level != "high":
        return
    publish("Diverse-QA", "web.diverse_qa", qa)
    for prompt in ("wikipedia", "distill"):
        text = {
            **common,
            "id": row_id("web.rephrased", curated["id"], prompt),
            "parents": [curated["id"]],
            "prompt": prompt,
            "text": f"{prompt} of {curated['text']}",
            "tokens": 40 + n,
            "generation_ids": [generation(prompt), generation(f"{prompt} again")],
        }
        rows["web.rephrased"].append(text)
        publish("High-Quality-Synthetic", "web.rephrased", text)
    translation = {**common, "id": row_id("web.translated_diverse_qa", qa["id"], "de"), "parents": [qa["id"]],
                   "language": "de", "text": "Frage: ? Antwort: !", "prompt": "translate", "tokens": 35 + n,
                   "generation_ids": [generation("translate")]}  # fmt: skip
    rows["web.translated_diverse_qa"].append(translation)
    for language, reason in (("de", None), ("da", "wrong_language")):
        rows["web.translation_outcomes"].append(
            {
                "id": row_id("web.translation_outcomes", qa["id"], language),
                "parents": [qa["id"]],
                "snapshot": curated["snapshot"],
                "language": language,
                "reason": reason,
                "lines": 1,
                "asked_lines": 1,
                "outcome": "rejected" if reason else "accepted",
                "attempts": 2 if reason else 1,
                "detected": "no" if reason else "de",
                "output_tokens": 9,
                "generation_ids": translation["generation_ids"] * (2 if reason else 1),
            }
        )
    publish("Translated-Diverse-QA", "web.translated_diverse_qa", translation)


def shards(rows: Mapping[str, list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """Training sequences of three pieces: everything published and the multilingual crawl but what is held out, pages
    in two pieces each; and all code."""
    held_out = {d["content_hash"] for d in rows["web.unique_documents"] if d["url"].endswith("/3")}
    pieces = []
    for table, origin in (("web.nemotron_cc_v2", "origin_hash"), ("web.multilingual", "content_hash")):
        for row in rows[table]:
            if row[origin] in held_out:
                continue
            length = row["characters"] % 7 + 1
            is_page = row.get("sources", ["web.curated"]) == ["web.curated"]
            cut = [(40, 0), (length, 40)] if is_page else [(40 + length, 0)]
            pieces += [(row["id"], table, tokens, offset) for tokens, offset in cut]
    pieces += [(row["id"], table, row["tokens"], 0) for table in ("code.curated", "code.qa") for row in rows[table]]
    found = []
    for at in range(0, len(pieces), 3):
        some = pieces[at : at + 3]
        found.append(
            {
                "id": row_id("blend.token_shards", at),
                "parents": [p[0] for p in some],
                "shard": at // 9,
                "position": at // 3 % 3,
                "tokens": [1] * sum(p[2] for p in some),
                "piece_lengths": [p[2] for p in some],
                "piece_offsets": [p[3] for p in some],
                "sources": [p[1] for p in some],
            }
        )
    return found


def write(lake: Lakehouse, rows: Mapping[str, list[dict[str, Any]]]) -> None:
    """Write rows as the pipeline would: one commit per partition."""
    declared = all_tables()
    for name, content in rows.items():
        table = declared[name]
        partitions = sorted({row[table.partition_by] for row in content}) if table.partition_by else [None]
        for partition in partitions:
            selected = [r for r in content if partition is None or r[table.partition_by] == partition]
            lake.write(table, frame(table, selected), partition)


def fill(lake: Lakehouse) -> dict[str, list[dict[str, Any]]]:
    """Fill the lake; returns all rows by full table name."""
    rows = rows_of_everything()
    rows["blend.token_shards"] = shards(rows)
    write(lake, rows)
    version = lake.read(all_tables()["blend.token_shards"]).input_version
    base = {"name": "tiny-hybrid", "uri": "weights/1", "sha256": "cd", "parameters": 1000, "tokens_seen": 500,
            "steps": 20, "final_loss": 3.5, "recipe_hash": "ef", "run_id": "run1"}  # fmt: skip
    models = [
        {**base, "id": row_id("models.base", 1), "version": "1", "input_versions": [version],
         "source_versions": ["code.curated@0"], "at": START},
        {**base, "id": row_id("models.base", 2), "version": "2", "parents": [row_id("models.base", 1)],
         "sources": ["models.base"], "at": START + timedelta(days=1), "input_versions": [version]},
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
        for task, metric, value in (("arc", "acc", 0.3), ("held_out_documents", "bits_per_byte", 1.5))
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
    more = {"models.base": models, "models.training_metrics": metrics, "evaluate.benchmark_scores": scores}
    write(lake, more)
    return {**rows, **more}
