-- What became of the answers that models and programs gave for every table of SFT data: rows by status, and rejected
-- answers by cause. A table without usable rows shows here why it has none.
create view sft.outcomes as
with written("table", status, tokens) as (
    select 'sft.procedural', status, tokens from sft.procedural
    union all
    select 'sft.stem_questions', status, tokens from sft.stem_questions
    union all
    select 'sft.academic_qa', status, tokens from sft.academic_qa
    union all
    select 'sft.longdoc_qa', status, tokens from sft.longdoc_qa
    union all
    select 'sft.fundamental_reasoning', status, tokens from sft.fundamental_reasoning
    union all
    select 'sft.math_sft', status, tokens from sft.math_sft
    union all
    select 'sft.code_sft', status, tokens from sft.code_sft
    union all
    select 'sft.general_sft', status, tokens from sft.general_sft
    union all
    select 'sft.multilingual_sft', status, tokens from sft.multilingual_sft
),
counted("table", kind, outcome, number, tokens) as (
    select "table", 'row', status, count(*), sum(tokens) from written group by all
    union all
    select stage, 'reject', cause, count(*), null from quarantine.rows where stage like 'sft.%' group by all
)
select
    "table", kind, outcome,
    kind = 'row' and outcome in ('verified', 'majority', 'judged') as usable,
    number::bigint as number,
    tokens::bigint as tokens
from counted;
comment on view sft.outcomes is 'Rows of SFT data by status, and rejected answers by cause: one line per table and outcome.';
comment on column sft.outcomes."table" is 'table of SFT data, for example sft.math_sft';
comment on column sft.outcomes.kind is 'row: stored in the table; reject: an answer that could not be used, in quarantine.rows';
comment on column sft.outcomes.outcome is 'status of the rows (verified, majority, judged, unverified, failed), or cause of the rejects (refused, truncated, ...)';
comment on column sft.outcomes.usable is 'whether something confirms the answers; rows that nothing confirms are published and trained on only if the recipe names their table (sft.release.unverified), failed rows never';
comment on column sft.outcomes.number is 'number of rows, or of rejected answers';
comment on column sft.outcomes.tokens is 'tokens of the rows'' texts; null for rejects';
