"""Sections about data: from raw pages to tokens, qualities and languages, and what the blend is made of."""

from __future__ import annotations

from nemotron_assets.evaluate.report.content import Section, TableName, grid
from nemotron_assets.evaluate.report.drawing import bars
from nemotron_assets.evaluate.report.lake import Lake

_LARGEST = 10  # documents that are shown
_LANGUAGES = 15


def funnel(lake: Lake) -> Section:
    """How much is left after every stage, of web pages, maths and code."""
    section = Section(
        "funnel",
        "From raw pages to tokens",
        "What every stage leaves, over all snapshots. Each stage counts what its table holds: records and pages of the "
        "crawl, then documents, then texts, then the different texts in training sequences.",
        ("snapshots.records", "snapshots.pages", "web.documents", "math.candidate_pages", "code.files",
         "blend.sequences"),
    )  # fmt: skip
    for name, title, first in (
        ("web", "Web pages after every stage", "snapshots.records"),
        ("math", "Pages with mathematics after every stage", "math.candidate_pages"),
        ("code", "Source files after every stage", "code.files"),
    ):
        if not lake.has(first):
            continue
        rows = lake.rows(
            f'select stage, sum("rows")::bigint, sum(tokens)::bigint from {name}.funnel '
            'group by step, stage having sum("rows") > 0 order by step, stage'
        )
        section.show(
            bars(title, {stage: count for stage, count, _ in rows}, x="rows", log=True),
            grid(title, ("stage", "rows", "tokens"), rows),
        )
    return section


def mixes(lake: Lake) -> Section:
    """Quality levels and languages of web pages, languages of code."""
    section = Section(
        "mixes",
        "Qualities and languages",
        "Quality levels of the web pages by bytes of text, languages before and after the deduplication, and the "
        "programming languages of the curated code.",
        ("web.quality", "web.documents", "web.unique_documents", "code.curated"),
    )
    if lake.has("web.quality"):
        rows = lake.rows(
            "select level, count(*), sum(bytes)::bigint, 100 * sum(bytes) / sum(sum(bytes)) over () "
            "from web.quality group by level order by max(bucket) desc"
        )
        section.show(
            bars("Text in each quality level", {level: size for level, _, size, _ in rows}, x="bytes"),
            grid("Quality levels", ("level", "documents", "bytes", "percent"), rows),
        )
    if lake.has("web.documents"):
        rows = lake.rows(
            "with kept as (select language, count(*) as n from web.unique_documents group by 1) "
            "select coalesce(d.language, '?'), count(*), any_value(kept.n), sum(characters)::bigint "
            f"from web.documents d left join kept using (language) group by 1 order by 2 desc, 1 limit {_LANGUAGES}"
        )
        section.show(
            bars("Documents by language", {language: count for language, count, _, _ in rows}, x="documents", log=True),
            grid("Languages of web pages", ("language", "documents", "unique documents", "characters"), rows),
        )
    if lake.has("code.curated"):
        rows = lake.rows(
            "select language, count(*), sum(tokens)::bigint from code.curated group by 1 order by 3 desc, 1 limit 20"
        )
        section.show(
            bars("Curated code by language", {language: tokens for language, _, tokens in rows}, x="tokens", log=True),
            grid("Languages of the curated code", ("language", "files", "tokens"), rows),
        )
    return section


def blend(lake: Lake) -> Section:
    """What the training tokens are made of, by category, source and document."""
    section = Section(
        "blend",
        "What the models read",
        "Tokens of the categories in the phases of the pretraining, beside the number of tokens that NVIDIA published "
        "for the same kinds of text, and the documents that gave the most tokens.",
        ("blend.categories", "blend.phases", "blend.sequences", "blend.token_shards"),
    )
    if lake.has("blend.phases"):
        rows = lake.rows(
            "select p.category, any_value(c.available), sum(p.tokens)::bigint, "
            "sum(p.tokens) filter (where p.synthetic)::bigint, max(p.epochs_until), any_value(c.published) "
            "from blend.phases p left join (select category, sum(tokens)::bigint as available, "
            "any_value(published_tokens) as published from blend.categories group by 1) c using (category) "
            "group by 1 order by 3 desc, 1"
        )
        columns = ("category", "tokens in the lake", "tokens read", "of them synthetic", "most passes", "published")
        section.show(
            bars("Tokens read by category", {row[0]: row[2] for row in rows if row[2]}, x="tokens"),
            grid("Categories of the blend", columns, rows),
        )
    if lake.has("blend.sequences"):
        _sources(lake, section)
    return section


def _sources(lake: Lake, section: Section) -> None:
    rows = lake.rows(
        "select source, count(distinct document), sum(tokens)::bigint from blend.pieces group by 1 order by 3 desc, 1"
    )
    section.show(
        bars("Training tokens by table", {source: tokens for source, _, tokens in rows}, x="tokens"),
        grid("Tables of the training documents", ("table", "documents", "tokens"),
             [(TableName(source), documents, tokens) for source, documents, tokens in rows]),
    )  # fmt: skip
    rows = lake.rows(
        "with top as (select document, source, sum(tokens)::bigint as tokens from blend.pieces group by all "
        f"order by tokens desc, document limit {_LARGEST}), "
        "pages as (select n.id, d.url, d.title from web.nemotron_cc_v2 n join web.curated c on c.id = n.parents[1] "
        "join web.documents d on d.url = c.url union all "
        "select m.id, m.url, d.title from math.nemotron_cc_math m left join web.documents d using (url) union all "
        "select id, repo || '/' || rel_path, null from code.curated) "
        "select t.source, any_value(p.title), any_value(p.url), t.tokens, t.document "
        "from top t left join pages p on p.id = t.document group by all order by t.tokens desc, t.document"
    )
    shown = [(TableName(source), title, place, tokens, row) for source, title, place, tokens, row in rows]
    section.show(grid("Documents with the most training tokens", ("table", "title", "address", "tokens", "id"), shown))
