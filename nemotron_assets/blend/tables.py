"""Tables of the blend: the tokenizer and the packed sequences a model is trained on."""

from __future__ import annotations

from nemotron_assets.blend.sources import SOURCES
from nemotron_assets.table.columns import ID, PARENTS
from nemotron_assets.table.schema import Column, Table

TOKENIZER = Table(
    schema="blend",
    name="tokenizer",
    description="The vocabulary: a byte-level BPE, as a Hugging Face directory with chat template.",
    columns=(
        ID,
        Column("name", "string", "kind and size of the vocabulary"),
        Column("vocabulary", "int64", "entries, special tokens included"),
        Column("special_tokens", "int64", "reserved first ids"),
        Column("uri", "string", "where the Hugging Face directory lies in the lake"),
        Column("sha256", "string", "over the directory's file names and contents"),
        Column("training_documents", "int64", "texts it was trained on; 0 for a ready vocabulary"),
        Column("training_bytes", "int64", "their size in bytes of UTF-8"),
        Column("bytes_per_token", "float64", "bytes of UTF-8 per token on a sample of the texts"),
    ),
)

TOKEN_SHARDS = Table(
    schema="blend",
    name="token_shards",
    description="Sequences packed from whole documents and pieces of long ones, EOS after every document.",
    columns=(
        ID,
        PARENTS,
        Column("part", "string", "group of documents packed together, as snapshot/number; -/number: of no snapshot"),
        Column("shard", "int32", "number of the group in its snapshot, from 0"),
        Column("position", "int64", "place in the shard"),
        Column("tokens", "list[int32]", "token ids of all pieces, not padded"),
        Column("piece_lengths", "list[int32]", "tokens of each piece"),
        Column("piece_offsets", "list[int64]", "where each piece starts in its document, in tokens"),
        Column("sources", "list[string]", "source table of each piece; parents holds its document"),
        Column(
            "read_versions",
            "list[string]",
            "what the sources' versions were when the part was written, as code.curated@3; null: not noted",
            nullable=True,
            volatile=True,
        ),
    ),
    part_by="part",
    parents=tuple(SOURCES),
)

TABLES = [TOKENIZER, TOKEN_SHARDS]
