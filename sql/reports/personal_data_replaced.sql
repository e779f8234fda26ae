-- Which share of the personal data that was found is replaced in the texts, dropped with its document, or kept?
-- Credentials and personal data in source code are always replaced; they are counted together.
with found as (
    select
        snapshot, rule, sum(matches)::bigint as found,
        coalesce(sum(matches) filter (action = 'replace'), 0)::bigint as replaced,
        coalesce(sum(matches) filter (action = 'drop'), 0)::bigint as dropped,
        coalesce(sum(matches) filter (action = 'keep'), 0)::bigint as kept,
        sum(documents)::bigint as documents
    from web.privacy group by all
    union all
    select 'code', 'any', sum(redactions), sum(redactions), 0, 0, count(*) from code.curated where redactions > 0
    having count(*) > 0
)
select
    snapshot, rule, documents, found, replaced, dropped, kept,
    share(replaced, found) as percent_replaced,
    share(replaced + dropped, found) as percent_not_published
from found
order by snapshot, found desc, rule;
