-- What became of the chunks of pages on mathematics: what the model wrote, what the guard put back or refused?
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
