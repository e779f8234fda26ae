"""Small inputs of the release: curated pages of every level, their rephrasings, their questions, and translations."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from nemotron_assets.table.ids import content_hash, row_id

LEVELS = ("high", "medium_high", "medium", "medium_low", "low")
PROMPTS = ("wikipedia", "distill", "extract_knowledge", "knowledge_list")


def tables(snapshot: str = "S1", each: int = 4) -> dict[str, pl.DataFrame]:
    """Rows with the columns that the release reads: `each` pages per level, and texts of all kinds about every page."""
    pages, rephrased, qa, translated = [], [], [], []
    for level in LEVELS:
        for k in range(each):
            text = f"{level} page {k} of {snapshot}: naïve 日本 " + "word " * k
            page = row_id("web.curated", text)
            pages.append({"id": page, "parents": [f"unique {text}"], "level": level, "text": text})
            for prompt in PROMPTS:
                rephrased.append(
                    {
                        "id": row_id("r", page, prompt),
                        "parents": [page],
                        "prompt": prompt,
                        "text": f"{prompt} of {text}",
                    }
                )
            for segment in range(2):
                pair = row_id("q", page, segment)
                qa.append(
                    {
                        "id": pair,
                        "parents": [page],
                        "prompt": "diverse_qa",
                        "text": f"{text}\n\nQuestion: {segment}?\nAnswer: {k}",
                    }
                )
                for language in ("de", "th"):
                    translated.append(
                        {
                            "id": row_id("t", pair, language),
                            "parents": [pair],
                            "prompt": "translate",
                            "language": language,
                            "text": f"{language} {text} {segment}",
                        }
                    )
    common = {"snapshot": snapshot, "language": "en"}
    for page in pages:
        page["url"] = f"https://a.example/{content_hash(page['text'])}"
    found = {"web.curated": pages, "web.rephrased": rephrased, "web.diverse_qa": qa}
    found["web.translated_diverse_qa"] = translated
    return {name: pl.DataFrame([{**common, **row} for row in rows]) for name, rows in found.items()}


def reads(frames: Mapping[str, pl.DataFrame], rows: int = 7):
    """The frames as functions that read columns as record batches, which is what the release takes."""
    return {
        name: lambda columns, f=frame: f.select(columns).to_arrow().to_batches(max_chunksize=rows)
        for name, frame in frames.items()
    }
