-- Which benchmark items stand in which pages, by which rule, and what was only alike and is kept?
-- $snapshot = : only this snapshot
select
    snapshot, url, removed, benchmark, item, rule, field, matched, "of", round(cosine, 3) as cosine,
    sources[1] as found_in, page_text, item_text
from math.contamination
where getvariable('snapshot') is null or snapshot = getvariable('snapshot')
order by removed desc, snapshot, url, item;
