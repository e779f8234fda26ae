-- How much text did each prompt and model generate, how often was an answer cut at its limit, and how fast was it?
-- Speed is output tokens per second, from the first request to the last answer of each run.
with runs as (
    select
        prompt, model, model_sha256, run_id,
        count(*) as generations,
        count_if(finish_reason = 'length') as cut,
        sum(prompt_tokens) as prompt_tokens,
        sum(output_tokens) as output_tokens,
        epoch(max("at")) - epoch(min("at" - to_microseconds((seconds * 1000000)::bigint))) as wall_seconds,
        max("at") as last_at
    from llm.generations
    group by all
)
select
    prompt,
    model,
    sum(generations)::bigint as generations,
    share(sum(cut), sum(generations)) as percent_cut,
    sum(prompt_tokens)::bigint as prompt_tokens,
    sum(output_tokens)::bigint as output_tokens,
    round(sum(output_tokens) / sum(generations), 1) as tokens_per_answer,
    round(sum(output_tokens) / nullif(sum(wall_seconds), 0), 1) as tokens_per_second,
    count(*) as runs,
    max(last_at) as last_at
from runs
group by prompt, model, model_sha256
order by generations desc, prompt, model;
