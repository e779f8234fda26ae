-- The training sequences of the pretraining taken apart: one line per piece of a document in a packed sequence.
create view blend.pieces as
with packed as (
    select
        id as sequence, category, data_set, shard, position,
        generate_subscripts(parents, 1) as piece,
        unnest(parents) as document_tokens,
        unnest(piece_lengths)::bigint as tokens,
        unnest(piece_offsets) as first_token
    from blend.sequences
    -- Other lengths hold the same documents again. Without phases, the shortest is the one of the pretraining.
    where part::bigint = coalesce(
        (select min(sequence_length) from blend.phases where number = 1), (select min(part::bigint) from blend.sequences)
    )
)
select
    p.sequence, p.category, p.data_set, p.shard, p.position, p.piece,
    d.parents[1] as document, d.sources[1] as source,
    p.tokens, p.first_token
from packed p join blend.token_shards d on d.id = p.document_tokens;
comment on view blend.pieces is 'One line per piece of a document in a packed training sequence of the pretraining.';
comment on column blend.pieces.sequence is 'id of the training sequence in blend.sequences';
comment on column blend.pieces.category is 'category of the blend, for example math';
comment on column blend.pieces.data_set is 'table and, if it has data sets, one of them: web.nemotron_cc_v2/Diverse-QA';
comment on column blend.pieces.shard is 'shard of documents that were packed together, as data set/snapshot/number';
comment on column blend.pieces.position is 'place of the sequence in the shard, from 0';
comment on column blend.pieces.piece is 'place of the piece in the sequence, from 1';
comment on column blend.pieces.document is 'id of the row whose text the piece is cut from; the column source names its table';
comment on column blend.pieces.source is 'table of that row, as web.nemotron_cc_v2';
comment on column blend.pieces.tokens is 'number of tokens in the piece';
comment on column blend.pieces.first_token is 'number of tokens of the document that come before the piece; 0 for the first piece of a document';
