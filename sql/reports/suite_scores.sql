-- How many items of the suite does every stage of the post-training answer right, and what did the stage change?
-- $task = : only this task, as last_word; all is the items of all tasks together
select
    s.stage, s.model, s.task, round(s.score, 4) as score, round(s.stderr, 4) as stderr, s.items,
    c.before_model, round(c.difference, 4) as difference, round(c.low, 4) as low, round(c.high, 4) as high,
    round(c.p_value, 5) as p_value, c.gained, c.lost
from evaluate.suite_scores s
left join evaluate.suite_comparisons c using (model, model_version, task)
where getvariable('task') is null or s.task = getvariable('task')
order by s.answered_at, s.model, s.task = 'all' desc, s.task, c.before_model;
