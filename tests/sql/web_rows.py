"""Rows of two snapshots on their way from WARC records to published texts, for the lake of the SQL tests."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from nemotron_assets.table.ids import content_hash, row_id
from tests.pages import hash_of

SNAPSHOTS = ("S1", "S2")
LANGUAGES = ("en", "de", "en", "fr", "en")
START = datetime(2026, 1, 1, tzinfo=UTC)


def add_web(rows: dict[str, list[dict[str, Any]]]) -> None:
    """Add two snapshots of two WARC files of five pages each, and rows of the quarantine."""
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


def _page(rows, first, s: int, snapshot: str, f: int, warc: str, i: int) -> None:
    """Add page `i` of file `f` of snapshot `s`, and the rows made from it. `first` has the document of every text."""
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
                "document": document["id"],
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
    """Add the texts that are generated from a curated page, and publish those of high quality."""
    n = len(rows["web.diverse_qa"])
    level, hash_ = curated["level"], hash_of(curated["url"])
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
