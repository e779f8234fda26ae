-- The newest score of every model version on every task and metric.
create view evaluate.leaderboard as
select task, metric, model, model_version, value, stderr, random_baseline, samples, shots, "at" as scored_at, id as score_id
from evaluate.benchmark_scores
qualify row_number() over (partition by task, metric, shots, model, model_version order by "at" desc) = 1;
comment on view evaluate.leaderboard is 'the newest score of every model version on every task and metric';
comment on column evaluate.leaderboard.task is 'benchmark, held_out_documents or held_out_code';
comment on column evaluate.leaderboard.metric is 'what was measured; bits_per_byte is better when lower, the others when higher';
comment on column evaluate.leaderboard.model is 'name of the model';
comment on column evaluate.leaderboard.model_version is 'version of the model';
comment on column evaluate.leaderboard.value is 'the score';
comment on column evaluate.leaderboard.stderr is 'standard error of the score';
comment on column evaluate.leaderboard.random_baseline is 'what guessing scores';
comment on column evaluate.leaderboard.samples is 'items or documents scored';
comment on column evaluate.leaderboard.shots is 'worked examples in the prompt';
comment on column evaluate.leaderboard.scored_at is 'when it was scored';
comment on column evaluate.leaderboard.score_id is 'id of the score, for nemotron trace';
