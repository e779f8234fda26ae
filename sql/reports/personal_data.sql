-- How much personal data was found in documents, by which rule, and what was done about it?
-- $snapshot = : only this snapshot
with totals as (select snapshot, sum(pages) filter (fate in ('document', 'personal_data')) as documents from web.extraction group by all)
select
    p.snapshot,
    p.rule,
    p.action,
    sum(p.documents)::bigint as documents,
    share(sum(p.documents), any_value(t.documents)) as percent,
    sum(p.matches)::bigint as matches,
    round(sum(p.matches) / sum(p.documents), 1) as per_document
from web.privacy p
join totals t using (snapshot)
where getvariable('snapshot') is null or p.snapshot = getvariable('snapshot')
group by p.snapshot, p.rule, p.action
order by p.snapshot, matches desc, p.rule;
