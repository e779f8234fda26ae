-- Everything that a stage left out, of all stages together, with the reason. What stages judge and drop stands in tables
-- of their own; what they could not process stands in quarantine.rows. A row can be left out for several reasons.
create view quarantine.rejections as
with found(step, stage, snapshot, reason, "rows") as (
    select 10, 'snapshots.pages', snapshot, fate, sum(records)
    from snapshots.records where fate not in ('page', 'charset_corrected') group by all
    union all
    select 20, 'web.documents', snapshot, fate, sum(pages) from web.extraction where fate <> 'document' group by all
    union all
    select 30, 'web.unique_documents', snapshot, kind || ' duplicate', count(*) from web.duplicates group by all
    union all
    select 30, 'web.unique_documents', snapshot, why, count(distinct parents[1])
    from web.repeated_spans where why <> 'repeated' group by all
    union all
    select 40, 'web.curated', snapshot, rule, count(*)
    from (select snapshot, unnest(failed) as rule from web.verdicts where not kept) group by all
    union all
    select 60, 'math.nemotron_cc_math', snapshot, kind || ' duplicate', count(*) from math.duplicates group by all
    union all
    select 60, 'math.nemotron_cc_math', snapshot, 'contaminated', count(distinct parents[1])
    from math.contamination where removed group by all
    union all
    select 70, 'code.files', '', fate, count(*) from code.rejected_files group by all
    union all
    select 80, 'code.curated', '', rule, count(*) from (select unnest(rules) as rule from code.dropped) group by all
    union all
    select 90, stage, "partition", 'not processed: ' || cause, count(*) from quarantine.rows group by all
)
select step::integer as step, stage, snapshot, reason, "rows"::bigint as "rows" from found where "rows" > 0;
comment on view quarantine.rejections is 'Everything that the stages left out, with the reason: one line per stage, snapshot and reason.';
comment on column quarantine.rejections.step is 'place of the stage in the order of the pipeline: 10, 20, ...; 90 for rows of quarantine.rows, of any stage';
comment on column quarantine.rejections.stage is 'table that does not hold the rows, as web.documents';
comment on column quarantine.rejections.snapshot is 'snapshot, or other partition of the table; empty if the table has none';
comment on column quarantine.rejections.reason is 'why the rows were left out, as near duplicate; "not processed:" and the cause for rows that failed';
comment on column quarantine.rejections.rows is 'number of records, pages, documents, files or answers that were left out for this reason';
