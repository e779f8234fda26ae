-- How did the training of each model go: loss, learning rate, gradient norm and speed over stretches of equal length?
-- $stretches = 10: into how many stretches to divide the training of each model
with steps as (
    -- an interrupted training may have stored a step twice; the later row counts
    select * from models.training_metrics
    qualify row_number() over (partition by model_id, step order by "at" desc) = 1
),
parts as (
    select *, ntile(coalesce(getvariable('stretches'), 10)) over (partition by model_id order by step) as stretch
    from steps
)
select
    model,
    min(step) as from_step,
    max(step) as to_step,
    max(tokens) as tokens,
    round(arg_min(loss, step), 4) as first_loss,
    round(avg(loss), 4) as mean_loss,
    round(arg_max(loss, step), 4) as last_loss,
    arg_max(lr, step) as lr,
    round(max(grad_norm), 3) as largest_grad_norm,
    round(median(tokens_per_second), 1) as tokens_per_second,
    count(distinct run_id) as runs,
    model_id
from parts
group by model, model_id, stretch
order by min(min("at")) over (partition by model_id), model_id, from_step;
