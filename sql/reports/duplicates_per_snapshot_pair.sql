-- How many documents of each snapshot duplicate a document of the same or another snapshot, and what share is that?
select
    d.snapshot,
    d.duplicate_of_snapshot,
    d.kind,
    count(*) as duplicates,
    share(count(*), any_value(s.documents)) as percent_of_snapshot,
    count(distinct d.duplicate_of) as originals,
    round(avg(d.similarity), 4) as mean_similarity
from web.duplicates d
left join (select snapshot, count(*) as documents from web.documents group by snapshot) s on s.snapshot = d.snapshot
group by d.snapshot, d.duplicate_of_snapshot, d.kind
order by d.snapshot, d.duplicate_of_snapshot, d.kind;
