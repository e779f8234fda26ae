-- Which kept files have the most copies and near-copies, and why was each of them kept instead of its copies?
-- $rows = 50: how many kept files to show
select
    duplicate_of_repo || '/' || duplicate_of_path as kept,
    any_value(f.language) as language,
    any_value(l.license) as license,
    count(*) as copies,
    count_if(d.kind = 'exact') as exact,
    round(min(d.similarity), 4) as least_similar,
    count(distinct d.repo) as repositories,
    array_to_string(list(distinct d.why order by d.why)[:3], '; ') as why,
    array_to_string(list(d.repo || '/' || d.rel_path order by d.similarity desc, d.repo, d.rel_path)[:3], '; ') as among_them,
    d.duplicate_of as file
from code.duplicates d
left join code.files f on f.id = d.duplicate_of
left join code.licenses l on l.file = d.duplicate_of
group by d.duplicate_of, d.duplicate_of_repo, d.duplicate_of_path
order by copies desc, kept, file
limit coalesce(getvariable('rows'), 50);
