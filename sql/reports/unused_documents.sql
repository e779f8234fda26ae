-- How many unique documents never reached a training sequence, neither themselves nor through pairs made from them?
-- Held-out documents are among them on purpose.
with used as (
    select distinct document as id from blend.pieces
),
through_pairs as (
    select distinct unnest(q.parents) as id from web.diverse_qa q semi join used on used.id = q.id
),
documents as (
    select
        d.snapshot, d.language, d.characters,
        u.id is not null as direct,
        p.id is not null as paired
    from web.unique_documents d
    left join used u on u.id = d.id
    left join through_pairs p on p.id = d.id
)
select
    snapshot,
    language,
    count(*) as documents,
    count_if(direct) as used,
    count_if(paired and not direct) as only_through_pairs,
    count_if(not direct and not paired) as never_used,
    share(count_if(not direct and not paired), count(*)) as percent_never_used,
    coalesce(sum(characters) filter (where not direct and not paired), 0)::bigint as characters_never_used
from documents
group by snapshot, language
order by snapshot, never_used desc, language;
