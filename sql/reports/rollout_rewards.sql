-- How do rewards, lengths and the divergence from the start develop over the steps of each reinforcement learning?
-- Step 0 and the last step with the split held_out are the same prompts, before and after the training.
select
    stage, model_id, split, step,
    count(*) as rollouts,
    round(avg(reward), 4) as reward,
    count(*) filter (error is not null) as errors,
    round(avg(length), 1) as tokens,
    round(avg(thought_tokens), 1) as thought_tokens,
    round(avg(kl), 5) as kl,
    count(*) filter (finish_reason = 'length') as cut,
    any_value(engine) as engine
from align.rollouts
group by all
order by stage, model_id, split, step;
