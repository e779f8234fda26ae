-- The LSH bands of web.signatures as rows. Two texts with an equal band are candidates for near-duplicates.
create view web.bands as
select
    snapshot, parents[1] as document, content_hash, number,
    array_slice(bands, 8 * number + 1, 8 * number + 8) as band
from (select *, unnest(range(octet_length(bands) // 8)) as number from web.signatures);
comment on view web.bands is 'One line per LSH band of a text. Texts with an equal band are candidates for near-duplicates.';
comment on column web.bands.snapshot is 'crawl snapshot (CC-MAIN-2024-51), or name of the ingested data set';
comment on column web.bands.document is 'id of the document in web.documents';
comment on column web.bands.content_hash is 'xxh3-128 hex of the document''s text';
comment on column web.bands.number is 'number of the band in the signature, from 0';
comment on column web.bands.band is 'hash of the band''s number and values: 8 bytes, a little-endian int64';
