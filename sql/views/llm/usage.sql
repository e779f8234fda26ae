-- What every asset asked language models for: tokens, and how many answers rows were made from. The ledger does not name
-- the asset. It follows from the rows that were made from the answers of a prompt, or that were rejected with them.
create view llm.usage as
with used as (
    select distinct parent as id, child_table as asset from lineage.edges where parent_table = 'llm.generations'
),
seen as (
    select id, asset from used
    union all
    select row_id, stage from quarantine.rows
),
assets as (
    select prompt, first(asset order by answers desc, asset) as asset
    from (select g.prompt, s.asset, count(*) as answers from llm.generations g join seen s using (id) group by all)
    group by prompt
)
select
    coalesce(a.asset, 'unknown') as asset,
    g.prompt,
    g.model,
    count(*) as answers,
    count(*) filter (u.id is not null) as answers_used,
    count(*) filter (g.finish_reason = 'length') as answers_cut,
    sum(g.prompt_tokens)::bigint as prompt_tokens,
    sum(g.output_tokens)::bigint as output_tokens
from llm.generations g
left join assets a using (prompt)
left join (select distinct id from used) u using (id)
group by all;
comment on view llm.usage is 'What every asset asked language models for, one line per asset, prompt and model.';
comment on column llm.usage.asset is 'table whose rows were made from the answers, as web.rephrased; unknown if no answer of the prompt was used or rejected';
comment on column llm.usage.prompt is 'name of the prompt, as diverse_qa';
comment on column llm.usage.model is 'name of the model that was asked';
comment on column llm.usage.answers is 'number of answers';
comment on column llm.usage.answers_used is 'number of answers that a row of the lake was made from; all others were paid for in vain';
comment on column llm.usage.answers_cut is 'number of answers that were cut at their limit of tokens';
comment on column llm.usage.prompt_tokens is 'number of tokens of the requests';
comment on column llm.usage.output_tokens is 'number of tokens of the answers';
