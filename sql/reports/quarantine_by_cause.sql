-- Which stages rejected how many rows, for which cause and when? Each line has one example.
select
    stage,
    cause,
    count(*) as rows,
    count(distinct row_id) as distinct_rows,
    count(distinct partition) as snapshots,
    min("at") as first_at,
    max("at") as last_at,
    arg_max(row_id, "at") as example_row,
    arg_max(detail, "at") as example
from quarantine.rows
group by stage, cause
order by rows desc, stage, cause;
