-- The newest score of every model version on every task, metric and length.
create view evaluate.leaderboard as
select
    task, metric, length, model, model_version, value, stderr, low, high, random_baseline, unigram_bits_per_byte, gzip_bits_per_byte,
    samples, shots, "at" as scored_at, id as score_id
from evaluate.benchmark_scores
qualify row_number() over (partition by task, metric, length, shots, model, model_version order by "at" desc) = 1;
comment on view evaluate.leaderboard is 'The newest score of every model version on every task, metric and length.';
comment on column evaluate.leaderboard.task is 'benchmark (gsm8k, arc_challenge, ...), held_out_ and a kind of text, ruler_ and a task of RULER, or suite_ and a task of the suite';
comment on column evaluate.leaderboard.metric is 'what was measured, as acc; bits_per_byte is better when it is lower, all other metrics when they are higher';
comment on column evaluate.leaderboard.length is 'tokens of a prompt and its answer, for RULER; null for other tasks';
comment on column evaluate.leaderboard.unigram_bits_per_byte is 'bits per byte of the best model that ignores the order of the bytes, for held-out texts';
comment on column evaluate.leaderboard.gzip_bits_per_byte is 'bits per byte that gzip -9 needs for the same texts';
comment on column evaluate.leaderboard.model is 'name of the model';
comment on column evaluate.leaderboard.model_version is 'version of the model, as 1';
comment on column evaluate.leaderboard.value is 'the score';
comment on column evaluate.leaderboard.stderr is 'standard error of the score over the samples';
comment on column evaluate.leaderboard.low is 'lower end of the 95% interval of the score';
comment on column evaluate.leaderboard.high is 'upper end of the 95% interval of the score';
comment on column evaluate.leaderboard.random_baseline is 'score of guessing at random, as 0.25 for four choices';
comment on column evaluate.leaderboard.samples is 'number of benchmark items or documents that were scored';
comment on column evaluate.leaderboard.shots is 'number of worked examples in the prompt';
comment on column evaluate.leaderboard.scored_at is 'when the score was computed';
comment on column evaluate.leaderboard.score_id is 'id of the score in evaluate.benchmark_scores, for `nemotron trace`';
