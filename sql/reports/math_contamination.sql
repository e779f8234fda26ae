-- Which benchmark items were found in which mathematics pages, and by which rule?
-- Removed pages come first, then pages that are only similar to an item and are kept.
-- $snapshot = : only this snapshot
select
    snapshot, url, removed, benchmark, item, rule, field, matched, "of", round(cosine, 3) as cosine,
    sources[1] as found_in, page_text, item_text
from math.contamination
where getvariable('snapshot') is null or snapshot = getvariable('snapshot')
order by removed desc, snapshot, url, item;
