-- How did training go: loss, learning rate, gradient norm and speed over equal stretches of every run?
-- $stretches = 10: how many lines per run
with parts as (
    select *, ntile(coalesce(getvariable('stretches'), 10)) over (partition by model, run_id order by step) as stretch
    from models.training_metrics
)
select
    model,
    run_id,
    min(step) as from_step,
    max(step) as to_step,
    max(tokens) as tokens,
    round(arg_min(loss, step), 4) as first_loss,
    round(avg(loss), 4) as mean_loss,
    round(arg_max(loss, step), 4) as last_loss,
    arg_max(lr, step) as lr,
    round(max(grad_norm), 3) as largest_grad_norm,
    round(median(tokens_per_second), 1) as tokens_per_second
from parts
group by model, run_id, stretch
order by model, run_id, from_step;
