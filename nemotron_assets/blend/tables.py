"""Tables of the blend: the tokenizer, and the packed sequences that the model is trained on."""

from __future__ import annotations

from nemotron_assets.blend.sources import SOURCES
from nemotron_assets.table.columns import ID, PARENTS
from nemotron_assets.table.schema import Column, Table

#: The columns with the texts of the blend.
_TEXTS = tuple(f"{name}.content" if name == "code.curated" else f"{name}.text" for name in SOURCES)

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
    description="Sequences of token ids, packed from whole documents and pieces of long ones; EOS ends each document.",
    columns=(
        ID,
        PARENTS,
        Column(
            "part",
            "string",
            "shard (documents that were packed together) as snapshot/number, for example CC-MAIN-2024-51/000003; the "
            "snapshot is - for documents without one",
        ),
        Column("shard", "int32", "number of the shard in its snapshot, from 0"),
        Column("position", "int64", "number of the sequence in the shard, from 0"),
        Column("tokens", "list[int32]", "token ids of all pieces, one after the other, without padding"),
        Column("piece_lengths", "list[int32]", "number of tokens of each piece"),
        Column("piece_offsets", "list[int64]", "where each piece begins in its document, in tokens"),
        Column("sources", "list[string]", "source table of each piece; the column parents has the id of its document"),
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
    origins={
        "sources": (),
        "read_versions": (),
        "tokens": (*_TEXTS, "blend.tokenizer.uri"),
        "*": (*_TEXTS, "blend.tokenizer.uri"),
    },
)

TABLES = [TOKENIZER, TOKEN_SHARDS]
