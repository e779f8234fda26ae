-- Which hosts give the most pages, how large are these pages, and how much of them becomes unique documents?
-- $rows = 20: how many hosts to show
-- $snapshot = : only this snapshot
with pages as (
    select host, count(*) as pages, count(distinct snapshot) as snapshots, sum(octet_length(html)) as html_bytes
    from snapshots.pages
    where getvariable('snapshot') is null or snapshot = getvariable('snapshot')
    group by host
),
kept as (
    select host, count(*) as unique_documents, sum(characters) as characters
    from web.unique_documents
    where getvariable('snapshot') is null or snapshot = getvariable('snapshot')
    group by host
)
select
    host,
    pages,
    share(pages, sum(pages) over ()) as percent_of_pages,
    snapshots,
    html_bytes::bigint as html_bytes,
    coalesce(unique_documents, 0) as unique_documents,
    coalesce(characters, 0)::bigint as characters
from pages left join kept using (host)
order by pages desc, host
limit coalesce(getvariable('rows'), 20);
