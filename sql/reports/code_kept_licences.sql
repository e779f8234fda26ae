-- How many tokens of the code corpus are under each licence, and on what kind of evidence?
select
    license, evidence_kind,
    count(*) as files,
    count(distinct repo) as repositories,
    sum(tokens)::bigint as tokens,
    share(sum(tokens), sum(sum(tokens)) over ()) as percent_of_tokens
from code.kept
group by license, evidence_kind
order by tokens desc, license, evidence_kind;
