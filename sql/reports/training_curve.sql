-- How did the training of each model go: phase, loss, learning rate, gradient norm, speed and memory over stretches of
-- equal length, and how many batches were left out in them?
-- $stretches = 10: into how many stretches to divide the training of each model
with steps as (
    -- an interrupted training may have stored a step twice; the later row counts
    select * from models.training_metrics
    qualify row_number() over (partition by model_id, step order by "at" desc) = 1
),
parts as (
    select *, ntile(coalesce(getvariable('stretches'), 10)) over (partition by model_id order by step) as stretch
    from steps
),
stretches as (
    select
        model, model_id, stretch,
        min(step) as from_step,
        max(step) as to_step,
        max(tokens) as tokens,
        arg_max(phase, step) as phase,
        round(arg_min(loss, step), 4) as first_loss,
        round(avg(loss), 4) as mean_loss,
        round(arg_max(loss, step), 4) as last_loss,
        arg_max(lr, step) as lr,
        round(max(grad_norm), 3) as largest_grad_norm,
        round(median(tokens_per_second), 1) as tokens_per_second,
        round(median(mfu), 4) as mfu,
        round(max(peak_memory_bytes) / 1e9, 3) as peak_memory_gb,
        count(distinct run_id) as runs,
        min("at") as began
    from parts
    group by model, model_id, stretch
),
bounds as (
    select
        model_id, stretch,
        coalesce(lag(to_step) over of_model, 0) as after_step,
        case when lead(stretch) over of_model is null then 9223372036854775807 else to_step end as last_step
    from stretches
    window of_model as (partition by model_id order by stretch)
),
left_out as (
    select b.model_id, b.stretch, count(distinct e.step) as batches
    from bounds b
    join models.training_events e
        on e.model_id = b.model_id and e.step > b.after_step and e.step <= b.last_step and e.kind in ('nan', 'spike')
    group by b.model_id, b.stretch
)
select
    s.* exclude (model_id, stretch, began), coalesce(l.batches, 0) as left_out, s.model_id
from stretches s left join left_out l on l.model_id = s.model_id and l.stretch = s.stretch
order by min(s.began) over (partition by s.model_id), s.model_id, s.from_step;
