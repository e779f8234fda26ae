-- How the corpus grows from snapshot to snapshot: what every snapshot brings, and what there is with it and all earlier
-- ones. The query reads the view web.funnel.
create view web.growth as
with snapshots as (
    select
        snapshot,
        coalesce(any_value("rows") filter (stage = 'pages'), 0) as pages,
        coalesce(any_value("rows") filter (stage = 'documents'), 0) as documents,
        coalesce(any_value("rows") filter (stage = 'unique documents'), 0) as unique_documents,
        coalesce(any_value(tokens) filter (stage = 'unique documents'), 0) as unique_tokens,
        coalesce(sum("rows") filter (step between 110 and 119), 0)::bigint as published_texts,
        coalesce(sum(tokens) filter (step between 110 and 119), 0)::bigint as published_tokens
    from web.funnel group by snapshot
)
select
    *,
    (sum(unique_documents) over earlier)::bigint as unique_documents_so_far,
    (sum(published_tokens) over earlier)::bigint as published_tokens_so_far
from snapshots
window earlier as (order by snapshot rows unbounded preceding);
comment on view web.growth is 'How the corpus grows from snapshot to snapshot, one line per snapshot.';
comment on column web.growth.snapshot is 'crawl snapshot (CC-MAIN-2024-51), or name of the ingested data set';
comment on column web.growth.pages is 'number of pages of the snapshot';
comment on column web.growth.documents is 'number of pages of the snapshot with a readable text';
comment on column web.growth.unique_documents is 'number of documents of the snapshot that repeat no earlier document';
comment on column web.growth.unique_tokens is 'number of tokens of these documents, a quarter of their characters';
comment on column web.growth.published_texts is 'number of texts of the snapshot in web.nemotron_cc_v2, generated texts included';
comment on column web.growth.published_tokens is 'number of tokens of these texts, a quarter of their characters';
comment on column web.growth.unique_documents_so_far is 'number of unique documents of this snapshot and of those whose names come before';
comment on column web.growth.published_tokens_so_far is 'number of published tokens of this snapshot and of those whose names come before';
