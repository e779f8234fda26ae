-- What happened to the chunks of mathematics pages: the model's text, corrected text, or rules instead?
-- $snapshot = : only this snapshot
with chunks as (
    select snapshot, unnest(outcomes) as outcome
    from math.cleaned
    where getvariable('snapshot') is null or snapshot = getvariable('snapshot')
),
counts as (
    select snapshot, outcome, count(*) as chunks from chunks group by all
)
select snapshot, outcome, chunks, share(chunks, sum(chunks) over (partition by snapshot)) as percent
from counts
order by snapshot, chunks desc, outcome;
