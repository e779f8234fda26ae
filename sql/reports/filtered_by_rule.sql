-- Which rules drop how many documents, and how many documents are dropped by one rule alone?
-- English documents and those of all other languages are counted apart. Tokens are a quarter of the characters.
-- $snapshot = : only this snapshot
with judged as (
    select snapshot, case when language = 'en' then 'English' else 'other languages' end as documents_in, failed, characters
    from web.verdicts
    where getvariable('snapshot') is null or snapshot = getvariable('snapshot')
),
whole as (
    select snapshot, documents_in, count(*) as documents from judged group by all
),
failures as (
    select snapshot, documents_in, unnest(failed) as rule, len(failed) = 1 as alone, characters from judged
)
select
    snapshot,
    documents_in,
    rule,
    count(*) as dropped,
    share(count(*), any_value(documents)) as percent_of_documents,
    count(*) filter (where alone) as dropped_by_this_rule_alone,
    (sum(characters) // 4)::bigint as tokens
from failures join whole using (snapshot, documents_in)
group by all
order by snapshot, documents_in, dropped desc, rule;
