-- How many questions and answers come out of the curated pages of each quality level, and how long are they?
with pairs as (
    select
        q.snapshot, c.level, q.prompt,
        count(*) as samples, count(distinct c.id) as documents_asked,
        sum(q.question_count) as pairs, sum(q.tokens) as tokens
    from web.diverse_qa q join web.curated c on c.id = q.parents[1]
    group by all
),
documents as (
    select snapshot, level, count(*) as documents from web.curated group by all
)
select
    p.snapshot,
    p.level,
    p.prompt,
    d.documents,
    p.documents_asked,
    share(p.documents_asked, d.documents) as percent_of_documents,
    p.samples,
    p.pairs::bigint as pairs,
    round(p.pairs / p.samples, 2) as pairs_per_sample,
    p.tokens::bigint as tokens
from pairs p left join documents d on d.snapshot = p.snapshot and d.level = p.level
order by p.snapshot, p.samples desc, p.level, p.prompt;
