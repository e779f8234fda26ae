-- How many samples were translated into each language, after how many attempts, and why did the others fail?
with outcomes as (
    select
        snapshot,
        language,
        count(*) as samples,
        count_if(outcome = 'accepted') as accepted,
        sum(asked_lines) as asked_lines,
        avg(attempts) as attempts,
        sum(len(generation_ids)) as generations,
        sum(output_tokens) as output_tokens,
        mode(reason) as most_frequent_reason,
        mode(detected) filter (reason = 'wrong_language') as most_frequent_wrong_language
    from web.translation_outcomes
    group by all
),
texts as (
    select snapshot, language, sum(tokens) as tokens from web.translated_diverse_qa group by all
)
select
    o.snapshot,
    o.language,
    o.samples,
    o.accepted,
    share(o.accepted, o.samples) as percent_accepted,
    o.most_frequent_reason,
    o.most_frequent_wrong_language,
    round(o.attempts, 2) as attempts,
    o.asked_lines::bigint as asked_lines,
    o.generations::bigint as generations,
    o.output_tokens::bigint as output_tokens,
    coalesce(t.tokens, 0)::bigint as tokens_accepted
from outcomes o left join texts t on t.snapshot = o.snapshot and t.language = o.language
order by o.snapshot, o.accepted desc, o.language;
