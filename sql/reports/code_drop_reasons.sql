-- Which reasons drop how many files of each language, and how many files are dropped by one reason alone?
-- $language = : only this language
with dropped as (
    select language, tokens, len(rules) = 1 as alone, unnest(rules) as rule from code.dropped
),
judged as (
    select language, count(*) as files from code.file_fates where fate <> 'not judged' group by all
)
select
    d.language, d.rule,
    count(*) as files,
    share(count(*), any_value(j.files)) as percent_of_files,
    count_if(d.alone) as only_by_it,
    sum(d.tokens)::bigint as tokens,
    coalesce(sum(d.tokens) filter (where d.alone), 0)::bigint as tokens_only_by_it
from dropped d join judged j using (language)
where getvariable('language') is null or d.language = getvariable('language')
group by d.language, d.rule
order by d.language, files desc, d.rule;
