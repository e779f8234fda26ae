-- Which model version reached each score, and which versions of which tables were the model and the score made from?
-- $task = : only this benchmark
-- $model = : only this model
select
    s.task,
    s.metric,
    s.value,
    s.model,
    s.model_version,
    m.model_table,
    m.uri as weights,
    m.tokens_seen,
    list(distinct i.input_table || '@' || i.input_version order by i.input_table || '@' || i.input_version)
        filter (where i.input_table is not null) as model_inputs,
    s.input_versions as score_inputs,
    s."at" as scored_at,
    s.id as score_id
from evaluate.benchmark_scores s
left join lineage.models m on m.id = s.model_id
left join lineage.model_inputs i on i.model_id = s.model_id
where (getvariable('task') is null or s.task = getvariable('task'))
  and (getvariable('model') is null or s.model = getvariable('model'))
group by all
order by s."at" desc, s.task, s.metric, s.id;
