-- How much mathematics is left after every stage, from pages with formulas to dialogues about them?
-- $snapshot = : only this snapshot
select *
from math.funnel
where getvariable('snapshot') is null or snapshot = getvariable('snapshot')
order by snapshot, step;
