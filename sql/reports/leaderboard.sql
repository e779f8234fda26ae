-- Which model version is best at each benchmark, and by how much does it beat guessing and the version before?
-- $task = : only this benchmark
select
    task,
    metric,
    shots,
    rank() over (
        partition by task, metric, shots
        order by case when metric like 'bits_per_byte%' then value else -value end
    ) as place,
    model,
    model_version,
    round(value, 5) as value,
    round(stderr, 5) as stderr,
    round(value - random_baseline, 5) as over_guessing,
    round(value - lag(value) over (partition by task, metric, shots, model order by scored_at), 5) as over_version_before,
    samples,
    scored_at
from evaluate.leaderboard
where getvariable('task') is null or task = getvariable('task')
order by task, metric, shots, place, model, model_version;
