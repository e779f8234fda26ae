"""Quality tables: what a language model thinks of some documents, scores and levels of all English ones."""

from __future__ import annotations

from nemotron_assets.models.columns import SCORER, metrics, model_table
from nemotron_assets.table.columns import CHARACTERS, CONTENT_HASH, ID, LANGUAGE, PARENTS, SNAPSHOT, TEXT, URL
from nemotron_assets.table.schema import Column, Table
from nemotron_assets.text.heuristics import NUMBERS, WHOLE

# -- the ensemble of classifiers ---------------------------------------------------------------------------------------

ANNOTATIONS = Table(
    "web",
    "annotations",
    "Educational value, 0 to 5, that a language model sees in a sample of English documents, in two wordings.",
    (
        ID,
        PARENTS,
        Column("source", "string", "crawl: a document; passage: known good text; shuffled: its words in random order"),
        Column("snapshot", "string", "snapshot of the document", nullable=True),
        Column("annotator", "string", "scorer that learns from it: edu_a or edu_b"),
        Column("score", "int32", "0 (nothing to learn) to 5"),
        Column("text", "string", "the start of the text that was shown"),
        Column("prompt", "string", "name of the prompt"),
        Column("generator", "string", "model that judged"),
        Column("generation_id", "string", "its answer in llm.generations"),
        Column("request", "string", "hash of model, prompts and recipe; the same request is not sampled again"),
    ),
    parents=("web.unique_documents",),
)

_SCORES = (
    Column("edu_a_score", "float64", "educational value according to the first annotator's scorer, 0 to 5"),
    Column("edu_b_score", "float64", "educational value according to the second annotator's scorer, 0 to 5"),
    Column("reference_score", "float64", "probability of being reference text rather than crawl, 0 to 1"),
)

QUALITY_SCORES = Table(
    "web",
    "quality_scores",
    "Three scores of every English document, as the scorers give them: cut points can change without scoring again.",
    (
        ID,
        PARENTS,
        SNAPSHOT,
        *_SCORES,
        Column("bytes", "int64", "length of the text in UTF-8, its weight"),
        Column("scorers", "string", "hash that names the three versions in models.quality_scorers"),
    ),
    partition_by="snapshot",
    parents=("web.unique_documents",),
)

QUALITY_THRESHOLDS = Table(
    "web",
    "quality_thresholds",
    "Where scores are cut into integers. Computed once per set of scorers; earlier versions stay.",
    (
        ID,
        Column("thresholds", "string", "hash of scorers and recipe: names a set of cut points"),
        Column("version", "int32", "version the recipe asked for"),
        Column("scorer", "string", "edu_a, edu_b or reference"),
        Column("model_id", "string", "version of the scorer, in models.quality_scorers"),
        Column("percentile", "int32", "percent of the bytes of the sample that score at most `cut`, at least"),
        Column("cut", "float64", "score from which a document is above the percentile"),
        Column("documents", "int64", "documents in the sample"),
        Column("bytes", "int64", "bytes in the sample"),
        Column("snapshots", "list[string]", "snapshots the sample is from"),
        Column("input_versions", "list[string]", "tables it was computed from, as web.quality_scores@3", volatile=True),
    ),
)

QUALITY = Table(
    "web",
    "quality",
    "Quality of every English document: three scores, an integer 0..19 for each, the largest of them and its level.",
    (
        ID,
        PARENTS,
        SNAPSHOT,
        *_SCORES,
        Column("edu_a_bucket", "int32", "cut points that edu_a_score reaches, 0 to 19"),
        Column("edu_b_bucket", "int32", "cut points that edu_b_score reaches, 0 to 19"),
        Column("reference_bucket", "int32", "cut points that reference_score reaches, 0 to 19"),
        Column("bucket", "int32", "the largest of the three"),
        Column("level", "string", "high, medium_high, medium, medium_low or low"),
        Column("bytes", "int64", "length of the text in UTF-8"),
        Column("thresholds", "string", "set of cut points, in web.quality_thresholds"),
    ),
    partition_by="snapshot",
    parents=("web.unique_documents",),
)

# -- heuristics, perplexity, verdicts ----------------------------------------------------------------------------------

MEASURES = Table(
    "web",
    "measures",
    "Numbers of every text in English or a language of the multilingual crawl: those the 28 rules decide by, and "
    "perplexity. Bounds are applied later, so that changing one reads no text again.",
    (
        ID,
        PARENTS,
        SNAPSHOT,
        LANGUAGE,
        *(Column(name, "int64" if name in WHOLE else "float64", meaning) for name, meaning in NUMBERS.items()),
        Column(
            "perplexity", "float64", "how much the text surprises models.perplexity; null if not English", nullable=True
        ),
        CHARACTERS,
    ),
    partition_by="snapshot",
    parents=("web.unique_documents",),
)

VERDICTS = Table(
    "web",
    "verdicts",
    "Whether a document is kept, and the rules it fails. English documents of the best levels are kept as they are.",
    (
        ID,
        PARENTS,
        SNAPSHOT,
        LANGUAGE,
        Column("level", "string", "quality level in web.quality; null if not English or not scored", nullable=True),
        Column("bucket", "int32", "integer 0..19 in web.quality; null if not English or not scored", nullable=True),
        Column("failed", "list[string]", "rules it fails, columns of web.measures; or unscored; empty if it is kept"),
        Column("kept", "bool", "whether it goes on to web.curated or web.multilingual"),
        CHARACTERS,
    ),
    partition_by="snapshot",
    parents=("web.unique_documents",),
)

CURATED = Table(
    "web",
    "curated",
    "English documents that are kept, with their quality level (Nemotron-CC §2.3).",
    (
        ID,
        PARENTS,
        SNAPSHOT,
        URL,
        LANGUAGE,
        Column("level", "string", "quality level: high, medium_high, medium, medium_low or low"),
        Column("bucket", "int32", "integer 0..19 the level comes from"),
        TEXT,
        CHARACTERS,
        CONTENT_HASH,
    ),
    partition_by="snapshot",
    parents=("web.unique_documents",),
)

MULTILINGUAL = Table(
    "web",
    "multilingual",
    "Documents of the multilingual crawl that are kept: by rules alone, without a classifier (Nano 2 §2.2).",
    (ID, PARENTS, SNAPSHOT, URL, LANGUAGE, TEXT, CHARACTERS, CONTENT_HASH),
    partition_by="snapshot",
    parents=("web.unique_documents",),
)

# -- models ------------------------------------------------------------------------------------------------------------

QUALITY_SCORERS = model_table(
    "quality_scorers",
    "The three scorers of the quality ensemble.",
    named="place in the ensemble: edu_a, edu_b or reference",
    own=SCORER,
    example_input="web.annotations@2",
)

PERPLEXITY = model_table(
    "perplexity",
    "The n-gram model of good text whose perplexity is a filter.",
    named="embedded, or where it came from",
    own=(
        Column("kind", "string", "characters (trained here), or kenlm"),
        Column("ngrams", "int64", "n-grams it knows; null for KenLM", nullable=True),
        metrics("number of texts it learnt from and how well it predicts others"),
    ),
)

TABLES = [
    QUALITY_SCORERS,
    PERPLEXITY,
    ANNOTATIONS,
    QUALITY_SCORES,
    QUALITY_THRESHOLDS,
    QUALITY,
    MEASURES,
    VERDICTS,
    CURATED,
    MULTILINGUAL,
]
