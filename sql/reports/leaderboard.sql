-- Which model version is best at each benchmark, and by how much does it beat guessing and the version before?
-- $task = : only this benchmark
select
    task,
    metric,
    length,
    shots,
    rank() over (
        partition by task, metric, length, shots
        order by case when metric like 'bits_per_byte%' then value else -value end
    ) as place,
    model,
    model_version,
    round(value, 5) as value,
    round(stderr, 5) as stderr,
    round(value - random_baseline, 5) as over_guessing,
    round(value - lag(value) over (partition by task, metric, length, shots, model order by scored_at), 5) as over_version_before,
    unigram_bits_per_byte,
    gzip_bits_per_byte,
    samples,
    scored_at
from evaluate.leaderboard
where getvariable('task') is null or task = getvariable('task')
order by task, metric, length, shots, place, model, model_version;
