-- How many entries of the code repositories are stored as text files, and why are the other entries left out?
with fates as (
    select repo, unnest(fates) as fate, unnest(fate_counts) as entries
    from code.contents
)
select fate, sum(entries)::bigint as entries, share(sum(entries), sum(sum(entries)) over ()) as percent,
    count(distinct repo) as repositories
from fates
group by fate
order by entries desc, fate;
