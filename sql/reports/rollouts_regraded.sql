-- Do stored rewards hold when SQL grades the rollouts again, without generating anything?
-- Only rollouts whose prompt names the verifier "exact" alone. An answer is what follows the close of its thought; a
-- thought that is opened twice or opens a call has no answer.
with graded as (
    select
        r.stage, r.id, r.reward, p.reference,
        case
            when r.prompt like '%<think></think>' then r.completion
            when regexp_matches(split_part(r.completion, '</think>', 1), '<think>|<TOOLCALL>') then ''
            when contains(r.completion, '</think>') then r.completion[strpos(r.completion, '</think>') + 8 :]
            else ''
        end as answer
    from align.rollouts r join align.prompts p on p.id = r.parents[1]
    where r.reward is not null and json_array_length(p.verifiers::json) = 1
        and json_extract_string(p.verifiers::json, '$[0].name') = 'exact'
),
compared as (
    select
        stage, id, reward as stored,
        (trim(regexp_replace(answer, '\s+', ' ', 'g')) = trim(regexp_replace(reference, '\s+', ' ', 'g')))::int as again
    from graded
)
select
    stage, stored, again, count(*) as rollouts, array_to_string(list(id order by id)[:2], ', ') as examples
from compared
group by stage, stored, again
order by stage, stored = again, stored, again;
