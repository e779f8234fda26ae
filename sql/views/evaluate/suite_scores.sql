-- The share of right answers of every model to the held-out items of the suite, by task, and over all tasks.
create view evaluate.suite_scores as
with newest as (
    select model, model_id, max_by(stage, "at") as stage, max("at") as answered_at
    from evaluate.suite_answers group by model, model_id
    qualify row_number() over (partition by model order by max("at") desc) = 1
)
select
    n.stage, a.model, a.model_version, coalesce(a.task, 'all') as task,
    avg(a.right::int) as score, stddev_samp(a.right::int) / sqrt(count(*)) as stderr, count(*) as items,
    avg(a.output_tokens) as mean_tokens, avg((a.finish_reason = 'stop')::int) as ended, n.answered_at
from evaluate.suite_answers a join newest n using (model, model_id)
group by grouping sets (
    (n.stage, a.model, a.model_version, n.answered_at, a.task), (n.stage, a.model, a.model_version, n.answered_at)
);
comment on view evaluate.suite_scores is 'The share of right answers of every model in use to the held-out items of the suite, by task, and over all tasks.';
comment on column evaluate.suite_scores.stage is 'table of the model without its schema: base, long_context, sft_1, ...';
comment on column evaluate.suite_scores.model is 'name of the model';
comment on column evaluate.suite_scores.model_version is 'version of the model, as 1';
comment on column evaluate.suite_scores.task is 'task of the items, as last_word; all: the items of all tasks';
comment on column evaluate.suite_scores.score is 'share of right answers, from 0 to 1';
comment on column evaluate.suite_scores.stderr is 'standard error of the score over the items';
comment on column evaluate.suite_scores.items is 'number of items';
comment on column evaluate.suite_scores.mean_tokens is 'mean tokens of an answer, with the token that ended it';
comment on column evaluate.suite_scores.ended is 'share of answers that the model ended itself';
comment on column evaluate.suite_scores.answered_at is 'when the model answered';
