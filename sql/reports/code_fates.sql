-- What became of the entries of the code repositories: how many are text, and why are the others none?
with fates as (
    select repo, unnest(fates) as fate, unnest(fate_counts) as entries
    from code.contents
)
select fate, sum(entries)::bigint as entries, share(sum(entries), sum(sum(entries)) over ()) as percent,
    count(distinct repo) as repositories
from fates
group by fate
order by entries desc, fate;
