-- What became of the records of every WARC file: how many were kept as pages, and why not the others?
-- $snapshot = : only this snapshot
select
    snapshot,
    parse_filename(warc_file) as warc_file,
    fate,
    records,
    share(records, sum(records) over (partition by snapshot, r.warc_file)) as percent,
    bytes
from snapshots.records r
where getvariable('snapshot') is null or snapshot = getvariable('snapshot')
order by snapshot, r.warc_file, records desc, fate;
