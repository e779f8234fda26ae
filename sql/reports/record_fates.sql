-- How many records of every WARC file became pages, and why did the other records not?
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
