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
comment on view blend.pieces is 'one line per piece of a document in a packed training sequence';
comment on column blend.pieces.sequence is 'id of the row of blend.token_shards';
comment on column blend.pieces.part is 'group of documents that were packed together, as snapshot/number';
comment on column blend.pieces.shard is 'number of the group in its snapshot';
comment on column blend.pieces.position is 'place of the sequence in the shard';
comment on column blend.pieces.piece is 'place of the piece in the sequence, from 1';
comment on column blend.pieces.document is 'id of the document or QA row the piece is cut from';
comment on column blend.pieces.source is 'table that row stands in';
comment on column blend.pieces.tokens is 'tokens of the piece';
comment on column blend.pieces.first_token is 'where the piece starts in its document, in tokens';
