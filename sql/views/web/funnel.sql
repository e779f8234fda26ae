-- From the crawl to the training sequences, one line per snapshot. Tokens are scanned piece by piece: not instant on a large lake.
create view web.funnel as
with counts as (
    select snapshot, records, 0::hugeint as pages, 0::hugeint as documents, 0::hugeint as unique_documents,
           0::hugeint as qa_documents, 0::hugeint as qa_pairs, 0::hugeint as tokens
    from snapshots.records
    union all by name
    select snapshot, count(*) as pages from snapshots.pages group by all
    union all by name
    select snapshot, count(*) as documents from web.documents group by all
    union all by name
    select snapshot, count(*) as unique_documents from web.unique_documents group by all
    union all by name
    select snapshot, count(*) as qa_documents, sum(question_count) as qa_pairs from web.diverse_qa group by all
    union all by name
    select d.snapshot, sum(p.tokens) as tokens
    from blend.pieces p
    join (select id, snapshot from web.unique_documents union all select id, snapshot from web.diverse_qa) d
        on d.id = p.document
    group by all
)
select
    snapshot,
    coalesce(sum(records), 0)::bigint as records,
    coalesce(sum(pages), 0)::bigint as pages,
    coalesce(sum(documents), 0)::bigint as documents,
    coalesce(sum(unique_documents), 0)::bigint as unique_documents,
    coalesce(sum(qa_documents), 0)::bigint as qa_documents,
    coalesce(sum(qa_pairs), 0)::bigint as qa_pairs,
    coalesce(sum(tokens), 0)::bigint as tokens
from counts
group by snapshot;
comment on view web.funnel is 'how much is left after every stage, one line per snapshot';
comment on column web.funnel.snapshot is 'crawl snapshot or name of the ingested data set';
comment on column web.funnel.records is 'records in the WARC files read';
comment on column web.funnel.pages is 'records kept as pages';
comment on column web.funnel.documents is 'pages with text in a known language';
comment on column web.funnel.unique_documents is 'documents left after deduplication';
comment on column web.funnel.qa_documents is 'documents with generated questions and answers';
comment on column web.funnel.qa_pairs is 'generated pairs of question and answer';
comment on column web.funnel.tokens is 'tokens in training sequences, from documents and pairs';
