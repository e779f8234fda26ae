-- What did all stages leave out, and why?
-- A row can be left out for several reasons, so the lines of a stage may add up to more than it left out.
-- $snapshot = : only this snapshot
-- $stage = : only this table, as web.documents
select
    stage,
    reason,
    sum("rows")::bigint as rows,
    share(sum("rows"), sum(sum("rows")) over (partition by stage)) as percent_of_stage,
    count(distinct snapshot) filter (snapshot <> '') as snapshots
from quarantine.rejections
where (getvariable('snapshot') is null or snapshot = getvariable('snapshot'))
  and (getvariable('stage') is null or stage = getvariable('stage'))
group by step, stage, reason
order by step, stage, rows desc, reason;
