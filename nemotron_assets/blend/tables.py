"""Tables of the blend: the tokenizer, documents as token ids, how they are packed, and the phases of the training."""

from __future__ import annotations

from nemotron_assets.recipe.categories import SOURCES
from nemotron_assets.table.columns import ID, PARENTS
from nemotron_assets.table.columns import SOURCES as PARENT_TABLES
from nemotron_assets.table.schema import Column, Table

#: The phase of `PHASES` that comes after the pretraining, as a training of its own.
LONG_CONTEXT = "long-context"

#: The columns with the texts of the blend.
_TEXTS = tuple(f"{name}.{layout.text}" for name, layout in SOURCES.items())

_CATEGORY = Column("category", "string", "category of the blend, one of thirteen, for example math")
_DATA_SET = Column("data_set", "string", "table and, if it has data sets, one of them: web.nemotron_cc_v2/Diverse-QA")
_DATA_SET_OR_NULL = Column(
    "data_set",
    "string",
    "table and, if it has data sets, one of them: web.nemotron_cc_v2/Diverse-QA; null: the lake has no table for it",
    nullable=True,
)

TOKENIZER = Table(
    schema="blend",
    name="tokenizer",
    description="The vocabulary: a byte-level BPE, stored as a Hugging Face folder with a chat template.",
    columns=(
        ID,
        Column("name", "string", "kind and size of the vocabulary, for example bpe-8192"),
        Column("vocabulary", "int64", "number of entries, special tokens included"),
        Column("special_tokens", "int64", "number of special tokens; they have the first ids"),
        Column("uri", "string", "folder of the Hugging Face files, relative to the root of the lake"),
        Column("sha256", "string", "sha256 over the names and contents of the files in the folder"),
        Column("training_documents", "int64", "number of texts it was trained on; 0 for a ready-made vocabulary"),
        Column("training_bytes", "int64", "size of these texts, in bytes of UTF-8"),
        Column("bytes_per_token", "float64", "bytes of UTF-8 per token, measured on a sample of the texts"),
    ),
    origins={
        "name": (),
        "special_tokens": (),
        "*": _TEXTS,
    },
)

TOKEN_SHARDS = Table(
    schema="blend",
    name="token_shards",
    description="Documents as token ids, each once and whole, with EOS at the end. They are stored by data set, in the "
    "order of a hash.",
    columns=(
        ID,
        PARENTS,
        PARENT_TABLES,
        Column(
            "part",
            "string",
            "shard as data set/snapshot/number, for example math.mind/CC-MAIN-2024-51/000003; the snapshot is - for "
            "documents without one",
        ),
        _CATEGORY,
        _DATA_SET,
        Column("position", "int64", "number of the document in the shard, from 0"),
        Column("tokens", "list[int32]", "token ids of the document, EOS included"),
        Column("length", "int64", "number of these tokens"),
        Column(
            "read_versions",
            "list[string]",
            "versions of the source tables when the shard was written, as code.curated@3; null: not recorded",
            nullable=True,
            volatile=True,
        ),
    ),
    part_by="part",
    parents=tuple(SOURCES),
    version=2,
    origins={
        "category": (),
        "data_set": (),
        "position": (),
        "read_versions": (),
        "tokens": (*_TEXTS, "blend.tokenizer.uri"),
        "*": (*_TEXTS, "blend.tokenizer.uri"),
    },
)

SEQUENCES = Table(
    schema="blend",
    name="sequences",
    description="Training sequences as an index: which tokens of which documents are packed together. One part per "
    "length of the sequences; the tokens themselves are in blend.token_shards.",
    columns=(
        ID,
        PARENTS,
        Column("part", "string", "most tokens that a sequence may have, for example 8192"),
        _CATEGORY,
        _DATA_SET,
        Column("shard", "string", "shard of blend.token_shards (its column part) that all documents are in"),
        Column("position", "int64", "number of the sequence in the shard, from 0"),
        Column("documents", "list[int64]", "position in the shard of the document that each piece is cut from"),
        Column("piece_offsets", "list[int64]", "where each piece begins in its document, in tokens"),
        Column("piece_lengths", "list[int32]", "number of tokens of each piece"),
        Column("tokens", "int64", "number of tokens of all pieces; the rest of the sequence is padding"),
    ),
    part_by="part",
    parents=("blend.token_shards",),
    origins={
        "part": (),
        "category": ("blend.token_shards.category",),
        "data_set": ("blend.token_shards.data_set",),
        "shard": ("blend.token_shards.part",),
        "documents": ("blend.token_shards.position", "blend.token_shards.length"),
        "*": ("blend.token_shards.length",),
    },
)

CATEGORIES = Table(
    schema="blend",
    name="categories",
    description="The categories of the blend with their data sets in this lake, and NVIDIA's tokens of the same kind.",
    columns=(
        ID,
        _CATEGORY,
        Column("meaning", "string", "what the texts of the category are"),
        _DATA_SET_OR_NULL,
        Column(
            "status",
            "string",
            "used; empty (the table has no document that may be trained on); missing (the lake has no table for it); "
            "left out (by the recipe; then it counts as empty)",
        ),
        Column("synthetic", "bool", "whether a model or a program wrote the texts; null: no data set", nullable=True),
        Column("documents", "int64", "number of documents in blend.token_shards"),
        Column("tokens", "int64", "number of their tokens, EOS included"),
        Column("sequences", "int64", "number of sequences that they are packed into, of the length of the pretraining"),
        Column("long_sequences", "int64", "number of sequences of the length of the extension to long context"),
        Column(
            "published_kinds",
            "list[string]",
            "kinds of text in NVIDIA's table of 10.6T tokens that the category is part of: English Common Crawl, ...",
        ),
        Column(
            "published_tokens",
            "int64",
            "NVIDIA's tokens of these kinds together, for all categories that are part of them; null: not published",
            nullable=True,
        ),
    ),
    origins={
        "meaning": (),
        "synthetic": (),
        "published_kinds": (),
        "published_tokens": (),
        "sequences": ("blend.sequences.category", "blend.sequences.part"),
        "long_sequences": ("blend.sequences.category", "blend.sequences.part"),
        "*": ("blend.token_shards.length", "blend.token_shards.data_set"),
    },
)

PHASES = Table(
    schema="blend",
    name="phases",
    description="The phases of the training: the share of each category, what every data set gives, and how often its "
    "texts are passed over. One row per phase, category and data set.",
    columns=(
        ID,
        Column("phase", "string", "name of the phase, for example phase-1; long-context comes after the pretraining"),
        Column("number", "int32", "place of the phase in time, from 1"),
        Column("phase_share", "float64", "share of the tokens of the pretraining; null: long context", nullable=True),
        Column("first_step", "int64", "first optimizer step of the phase, counted from 1 within its training"),
        Column("steps", "int64", "number of its optimizer steps"),
        Column("sequence_length", "int64", "most tokens that a sequence of the phase may have"),
        _CATEGORY,
        Column(
            "basis",
            "string",
            "where the weight is from: published, Nemotron 3 analogue (a published value of the successor), or what "
            "the recipe says",
        ),
        Column("recipe_share", "float64", "share of the category among all weights of the phase in the recipe, 0 to 1"),
        Column(
            "share",
            "float64",
            "share that the training uses: without categories that this lake has no texts of, and with the limit of "
            "epochs; the shares of a phase add up to 1",
        ),
        Column(
            "status",
            "string",
            "used; limited (its share is smaller, so that max_epochs holds); missing (no texts in this lake); not used "
            "(the recipe gives it no weight in this phase)",
        ),
        _DATA_SET_OR_NULL,
        Column("synthetic", "bool", "whether a model or a program wrote the texts; null: no data set", nullable=True),
        Column("sequences", "int64", "sequences that the phase reads of the data set"),
        Column(
            "tokens",
            "int64",
            "tokens of these sequences without padding: their number times the mean of the data set, which is exact "
            "for whole epochs",
        ),
        Column("epochs", "float64", "passes over the data set in this phase"),
        Column("epochs_until", "float64", "passes over the data set from the first phase to the end of this one"),
    ),
    origins={
        "category": ("blend.categories.category",),
        "data_set": ("blend.categories.data_set",),
        "synthetic": ("blend.categories.synthetic",),
        "basis": (),
        "phase": (),
        "number": (),
        "phase_share": (),
        "recipe_share": (),
        "first_step": (),
        "steps": (),
        "sequence_length": (),
        "*": ("blend.categories.sequences", "blend.categories.long_sequences", "blend.categories.tokens"),
    },
)

TABLES = [TOKENIZER, TOKEN_SHARDS, SEQUENCES, CATEGORIES, PHASES]
