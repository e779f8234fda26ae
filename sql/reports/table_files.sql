-- Which tables are largest, which have many small files (compaction helps), and how much would a vacuum free?
-- $small_mb = 16: files smaller than this number of MB count as small
select
    table_name,
    sum(rows)::bigint as rows,
    coalesce(sum(bytes) filter (where live), 0)::bigint as live_bytes,
    count_if(live) as live_files,
    count_if(live and bytes < coalesce(getvariable('small_mb'), 16) * 1048576) as small_files,
    round(coalesce(avg(bytes) filter (where live), 0) / 1048576, 2) as mean_mb,
    count_if(not live) as old_files,
    coalesce(sum(bytes) filter (where not live), 0)::bigint as old_bytes
from lineage.files
group by table_name
order by live_bytes desc, table_name;
