-- How much source code is left after every stage, from the files of the repositories to training tokens?
-- $language = : only this language
select
    step, stage,
    sum("rows")::bigint as "rows",
    sum(bytes)::bigint as bytes,
    share(sum(bytes), max(sum(bytes)) over ()) as percent_of_bytes,
    sum(tokens)::bigint as tokens
from code.funnel
where getvariable('language') is null or language = getvariable('language')
group by step, stage
order by step;
