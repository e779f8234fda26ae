"""Tables of the quality room: annotations, scores, cut points, levels, measures, verdicts, and the kept documents."""

from __future__ import annotations

from nemotron_assets.models.columns import SCORER, metrics, model_table
from nemotron_assets.table.columns import CHARACTERS, CONTENT_HASH, ID, LANGUAGE, PARENTS, SNAPSHOT, TEXT, URL
from nemotron_assets.table.schema import Column, Table
from nemotron_assets.text.heuristics import NUMBERS, WHOLE

# -- the ensemble of classifiers ---------------------------------------------------------------------------------------

ANNOTATIONS = Table(
    "web",
    "annotations",
    "Scores from 0 to 5 for educational value that a language model gave a sample of English documents, and passages "
    "that are known to be good. One row per text and annotator (a wording of the question).",
    (
        ID,
        PARENTS,
        Column(
            "source",
            "string",
            "where the text is from: crawl (a document), passage (a reference text that is known to be good) or "
            "shuffled (the words of such a passage in random order)",
        ),
        Column("snapshot", "string", "snapshot of the document; null for a text that is not a document", nullable=True),
        Column(
            "annotator", "string", "wording of the question, named after the scorer that learns from it: edu_a or edu_b"
        ),
        Column("score", "int32", "educational value from 0 (nothing to learn) to 5 (fit for a textbook)"),
        Column("text", "string", "beginning of the text, as it was shown to the language model"),
        Column("prompt", "string", "name of the prompt: quality_points or quality_teacher"),
        Column("generator", "string", "name of the language model, as in models.generator"),
        Column("generation_id", "string", "id of the model's answer in llm.generations"),
        Column(
            "request",
            "string",
            "hash of code, recipe, prompts and language model; the sample is annotated again when it has changed",
        ),
    ),
    parents=("web.unique_documents",),
    origins={
        "source": (),
        "annotator": (),
        "generator": ("models.generator.name",),
        "request": ("models.generator.sha256",),
        "*": ("web.unique_documents.text",),
    },
)

_SCORES = (
    Column("edu_a_score", "float64", "educational value from 0 to 5, by the scorer edu_a in models.quality_scorers"),
    Column("edu_b_score", "float64", "educational value from 0 to 5, by the scorer edu_b in models.quality_scorers"),
    Column(
        "reference_score",
        "float64",
        "probability from 0 to 1 that the text is a good reference text rather than a page of the crawl, by the scorer "
        "reference in models.quality_scorers",
    ),
)

QUALITY_SCORES = Table(
    "web",
    "quality_scores",
    "Three scores of every English document, as the scorers gave them. They stay when the cut points change.",
    (
        ID,
        PARENTS,
        SNAPSHOT,
        *_SCORES,
        Column("bytes", "int64", "length of the text in UTF-8 bytes; the weight of the document in percentiles"),
        Column("scorers", "string", "hash of the ids of the three scorers; scores with equal hashes may be compared"),
    ),
    partition_by="snapshot",
    parents=("web.unique_documents",),
    origins={
        "bytes": ("web.unique_documents.text",),
        "scorers": ("models.quality_scorers.id",),
        "*": ("web.unique_documents.text", "models.quality_scorers.uri"),
    },
)

QUALITY_THRESHOLDS = Table(
    "web",
    "quality_thresholds",
    "Cut points that turn a score into a bucket 0..19. A set of cut points is computed once per three scorers and "
    "recipe; earlier sets stay. One row per set, scorer and percentile.",
    (
        ID,
        Column("thresholds", "string", "name of the set: hash of the three scorers and the recipe's thresholds"),
        Column("version", "int32", "web.quality.thresholds.version in the recipe that asked for the set"),
        Column("scorer", "string", "scorer whose scores are cut: edu_a, edu_b or reference"),
        Column("model_id", "string", "id of the scorer's version in models.quality_scorers"),
        Column(
            "percentile",
            "int32",
            "percentile of the cut point: 95 means that at least 95% of the bytes score at most `cut`",
        ),
        Column("cut", "float64", "the cut point; a score reaches it if it is at least this large"),
        Column("documents", "int64", "number of documents in the sample that the set was computed from"),
        Column("bytes", "int64", "number of bytes of text in the sample"),
        Column("snapshots", "list[string]", "snapshots of the documents in the sample"),
        Column(
            "input_versions",
            "list[string]",
            "tables the set was computed from, each with its Delta version: web.quality_scores@3",
            volatile=True,
        ),
    ),
    origins={
        "thresholds": ("models.quality_scorers.id",),
        "scorer": ("models.quality_scorers.name",),
        "model_id": ("models.quality_scorers.id",),
        "percentile": (),
        "documents": ("web.quality_scores.id",),
        "bytes": ("web.quality_scores.bytes",),
        "snapshots": ("web.quality_scores.snapshot",),
        "*": (
            "web.quality_scores.edu_a_score",
            "web.quality_scores.edu_b_score",
            "web.quality_scores.reference_score",
            "web.quality_scores.bytes",
        ),
    },
)

QUALITY = Table(
    "web",
    "quality",
    "Quality of every English document: three scores, a bucket 0..19 for each score, the largest bucket and its level.",
    (
        ID,
        PARENTS,
        SNAPSHOT,
        *_SCORES,
        Column("edu_a_bucket", "int32", "number of cut points that edu_a_score reaches, 0 (worst) to 19 (best)"),
        Column("edu_b_bucket", "int32", "number of cut points that edu_b_score reaches, 0 (worst) to 19 (best)"),
        Column(
            "reference_bucket", "int32", "number of cut points that reference_score reaches, 0 (worst) to 19 (best)"
        ),
        Column("bucket", "int32", "largest of the three buckets, 0 (worst) to 19 (best)"),
        Column(
            "level", "string", "quality level that the bucket belongs to: high, medium_high, medium, medium_low or low"
        ),
        Column("bytes", "int64", "length of the text in UTF-8 bytes"),
        Column("thresholds", "string", "name of the set of cut points in web.quality_thresholds"),
    ),
    partition_by="snapshot",
    parents=("web.unique_documents",),
    origins={
        "edu_a_score": ("web.quality_scores.edu_a_score",),
        "edu_b_score": ("web.quality_scores.edu_b_score",),
        "reference_score": ("web.quality_scores.reference_score",),
        "bytes": ("web.quality_scores.bytes",),
        "edu_a_bucket": ("web.quality_scores.edu_a_score", "web.quality_thresholds.cut"),
        "edu_b_bucket": ("web.quality_scores.edu_b_score", "web.quality_thresholds.cut"),
        "reference_bucket": ("web.quality_scores.reference_score", "web.quality_thresholds.cut"),
        "thresholds": ("web.quality_thresholds.thresholds",),
        "*": (
            "web.quality_scores.edu_a_score",
            "web.quality_scores.edu_b_score",
            "web.quality_scores.reference_score",
            "web.quality_thresholds.cut",
        ),
    },
)

# -- heuristics, perplexity, verdicts ----------------------------------------------------------------------------------

MEASURES = Table(
    "web",
    "measures",
    "Numbers about every text in English or in a language of the recipe: the numbers that the 28 rules compare with "
    "their bounds, and the perplexity. The bounds are applied in web.verdicts, so that a changed bound needs no text.",
    (
        ID,
        PARENTS,
        SNAPSHOT,
        LANGUAGE,
        *(Column(name, "int64" if name in WHOLE else "float64", meaning) for name, meaning in NUMBERS.items()),
        Column(
            "perplexity",
            "float64",
            "perplexity of the text under models.perplexity, at least 1; low for text that resembles good reference "
            "text; null if the text is not English or has no characters",
            nullable=True,
        ),
        CHARACTERS,
    ),
    partition_by="snapshot",
    parents=("web.unique_documents",),
    origins={
        "perplexity": ("web.unique_documents.text", "models.perplexity.uri"),
        "*": ("web.unique_documents.text",),
    },
)

VERDICTS = Table(
    "web",
    "verdicts",
    "Whether a document is kept, and the rules that it fails. English documents of the best levels fail no rule, "
    "because the rules are not applied to them.",
    (
        ID,
        PARENTS,
        SNAPSHOT,
        LANGUAGE,
        Column("level", "string", "level in web.quality; null if the text is not English or not scored", nullable=True),
        Column(
            "bucket", "int32", "bucket in web.quality; null if the text is not English or not scored", nullable=True
        ),
        Column(
            "failed",
            "list[string]",
            "rules that the document fails, named like the columns of web.measures (words, perplexity, ...), and "
            "unscored for an English document without a level; empty if the document is kept",
        ),
        Column(
            "kept", "bool", "whether the document is in web.curated (English) or web.multilingual (other languages)"
        ),
        CHARACTERS,
    ),
    partition_by="snapshot",
    parents=("web.unique_documents",),
    origins={
        "language": ("web.measures.language",),
        "level": ("web.quality.level",),
        "bucket": ("web.quality.bucket",),
        "characters": ("web.measures.characters",),
        "*": (*(f"web.measures.{name}" for name in NUMBERS), "web.measures.perplexity", "web.quality.level"),
    },
)

CURATED = Table(
    "web",
    "curated",
    "English documents that passed the quality filters, with their quality level (Nemotron-CC §2.3).",
    (
        ID,
        PARENTS,
        SNAPSHOT,
        URL,
        LANGUAGE,
        Column("level", "string", "quality level of the document: high, medium_high, medium, medium_low or low"),
        Column("bucket", "int32", "bucket that the level belongs to, 0 (worst) to 19 (best)"),
        TEXT,
        CHARACTERS,
        CONTENT_HASH,
    ),
    partition_by="snapshot",
    parents=("web.unique_documents",),
    origins={
        "level": ("web.verdicts.level",),
        "bucket": ("web.verdicts.bucket",),
    },
)

MULTILINGUAL = Table(
    "web",
    "multilingual",
    "Documents in other languages that passed the rules of their language; no classifier judged them (Nano 2 §2.2).",
    (ID, PARENTS, SNAPSHOT, URL, LANGUAGE, TEXT, CHARACTERS, CONTENT_HASH),
    partition_by="snapshot",
    parents=("web.unique_documents",),
)

# -- models ------------------------------------------------------------------------------------------------------------

QUALITY_SCORERS = model_table(
    "quality_scorers",
    "The three scorers of the quality ensemble.",
    named="place of the scorer in the ensemble: edu_a, edu_b or reference",
    group="web",
    own=SCORER,
    example_input="web.annotations@2",
    origins={
        "*": ("web.annotations.text", "web.annotations.score"),
    },
)

PERPLEXITY = model_table(
    "perplexity",
    "The n-gram model of good text whose perplexity is a filter.",
    named="embedded for a model trained here, else the folder or Hugging Face name of a published model",
    group="web",
    own=(
        Column("kind", "string", "characters (n-grams of characters, trained here) or kenlm (a published model)"),
        Column("ngrams", "int64", "number of n-grams in the model; null for KenLM", nullable=True),
        metrics("number of training texts, and perplexity of held-out texts"),
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
