-- Training sequences taken apart: one line per piece of a document in a packed sequence.
create view blend.pieces as
select
    id as sequence,
    part,
    shard,
    position,
    generate_subscripts(parents, 1) as piece,
    unnest(parents) as document,
    unnest(sources) as source,
    unnest(piece_lengths)::bigint as tokens,
    unnest(piece_offsets) as first_token
from blend.token_shards;
comment on view blend.pieces is 'One line per piece of a document in a packed training sequence.';
comment on column blend.pieces.sequence is 'id of the training sequence in blend.token_shards';
comment on column blend.pieces.part is 'group of documents that were packed together, as snapshot/number; -/number for documents without a snapshot';
comment on column blend.pieces.shard is 'number of the group in its snapshot, from 0';
comment on column blend.pieces.position is 'place of the sequence in the shard, from 0';
comment on column blend.pieces.piece is 'place of the piece in the sequence, from 1';
comment on column blend.pieces.document is 'id of the row whose text the piece is cut from; the column source names its table';
comment on column blend.pieces.source is 'table of that row, as web.nemotron_cc_v2';
comment on column blend.pieces.tokens is 'number of tokens in the piece';
comment on column blend.pieces.first_token is 'number of tokens of the document that come before the piece; 0 for the first piece of a document';
