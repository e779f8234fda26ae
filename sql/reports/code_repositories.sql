-- How much of each repository is kept, and what is the most frequent reason why a file is dropped?
-- $rows = 100: how many repositories to show; those with the most dropped bytes come first
with files as (
    select repo, commit_id, fate, bytes, rules, coalesce(license, 'none found') as license from code.file_fates
),
reasons as (
    select repo, commit_id, rule, count(*) as files
    from (select repo, commit_id, unnest(rules) as rule from files)
    group by repo, commit_id, rule
    qualify row_number() over (partition by repo, commit_id order by count(*) desc, rule) = 1
)
select
    f.repo,
    count(*) as files,
    count_if(f.fate = 'kept') as kept,
    share(sum(f.bytes) filter (where f.fate = 'kept'), sum(f.bytes)) as percent_of_bytes_kept,
    sum(f.bytes) filter (where f.fate <> 'kept')::bigint as bytes_not_kept,
    mode(f.license order by f.license) as most_frequent_license,
    any_value(r.rule) as most_frequent_reason,
    any_value(r.files) as files_with_it
from files f left join reasons r using (repo, commit_id)
group by f.repo, f.commit_id
order by bytes_not_kept desc nulls last, f.repo, f.commit_id
limit coalesce(getvariable('rows'), 100);
