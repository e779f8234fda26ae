-- How many training tokens come from each source and subset, and how often is a text used on average?
with subsets as (
    select id, 'web.nemotron_cc_v2' as source, subset from web.nemotron_cc_v2
    union all
    select id, 'math.nemotron_cc_math', category from math.nemotron_cc_math
    union all
    select id, 'code.curated', language from code.curated
    union all
    select id, 'code.qa', language from code.qa
)
select
    p.source,
    coalesce(s.subset, '') as subset,
    sum(p.tokens)::bigint as tokens,
    share(sum(p.tokens), sum(sum(p.tokens)) over ()) as percent,
    count(distinct p.document) as documents,
    count(*) as pieces,
    round(count_if(p.first_token = 0) / nullif(count(distinct p.document), 0), 2) as uses_per_document,
    round(sum(p.tokens) / count(*), 1) as tokens_per_piece
from blend.pieces p
left join subsets s on s.id = p.document and s.source = p.source
group by p.source, s.subset
order by tokens desc, p.source, subset;
