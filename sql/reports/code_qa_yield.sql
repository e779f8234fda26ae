-- How many problems with solutions come out of the snippets of each language, and why do other snippets give no pair?
with snippets as (
    select language, count(*) as snippets from code.snippets group by all
),
pairs as (
    select language, count(*) as pairs, avg(attempt + 1) as attempts, sum(tokens) as tokens from code.qa group by all
),
failed as (
    select "partition" as language, cause, count(distinct row_id) as snippets
    from quarantine."rows" where stage = 'code.qa' group by all
),
causes as (
    select language, sum(snippets) as failed, arg_max(cause, (snippets, cause)) as cause from failed group by all
)
select
    language,
    coalesce(s.snippets, 0) as snippets,
    coalesce(p.pairs, 0) as pairs,
    share(coalesce(p.pairs, 0), s.snippets) as percent,
    round(p.attempts, 2) as attempts_per_pair,
    coalesce(c.failed, 0)::bigint as failed,
    c.cause as most_frequent_cause,
    coalesce(p.tokens, 0)::bigint as tokens,
    round(p.tokens / p.pairs, 1) as tokens_per_pair
from snippets s full join pairs p using (language) full join causes c using (language)
order by language;
