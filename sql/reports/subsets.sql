-- How many texts does each subset of Nemotron-CC-v2 hold, from how many web documents, and how many are trained on?
-- $snapshot = : only this snapshot
with used as (
    select document as id, sum(tokens) as tokens from blend.pieces where source = 'web.nemotron_cc_v2' group by all
),
texts as (
    select r.subset, r.language, r.characters, r.origin_hash, used.id is not null as trained_on, used.tokens
    from web.nemotron_cc_v2 r left join used on used.id = r.id
    where getvariable('snapshot') is null or r.snapshot = getvariable('snapshot')
)
select
    subset,
    count(*) as texts,
    share(sum(characters), sum(sum(characters)) over ()) as percent_of_characters,
    (sum(characters) // 4)::bigint as estimated_tokens,
    count(distinct language) as languages,
    count(distinct origin_hash) as web_documents,
    count_if(trained_on) as texts_trained_on,
    coalesce(sum(tokens), 0)::bigint as tokens_trained_on
from texts
group by subset
order by estimated_tokens desc, subset;
