-- How many tokens did every asset ask language models for, how many answers were of use, and what did they cost?
-- The cost is null unless the recipe (llm.prompt_price, llm.output_price) or parameters name both prices.
-- $prompt_price = : price of a million tokens of requests; without it, that of the recipe
-- $output_price = : price of a million tokens of answers; without it, that of the recipe
select
    asset,
    model,
    sum(answers)::bigint as answers,
    share(sum(answers_used), sum(answers)) as percent_used,
    share(sum(answers_cut), sum(answers)) as percent_cut,
    sum(prompt_tokens)::bigint as prompt_tokens,
    sum(output_tokens)::bigint as output_tokens,
    round((sum(prompt_tokens) * getvariable('prompt_price')::double
        + sum(output_tokens) * getvariable('output_price')::double) / 1e6, 4) as cost
from llm.usage
group by asset, model
order by sum(prompt_tokens) + sum(output_tokens) desc, asset, model;
