-- Why are files of a repository in the corpus or not: every reason, the licence with its evidence, the copy that won?
-- $repo = : only this repository
-- $path = : only files whose path contains this
-- $rows = 100: most files shown
select
    repo, rel_path, fate, array_to_string(rules, ', ') as rules, license, licence_why,
    evidence_path || ':' || start_line as evidence,
    duplicate_of_repo || '/' || duplicate_of_path as copy_of,
    copy_why, file
from code.file_fates
where (getvariable('repo') is null or repo = getvariable('repo'))
    and (getvariable('path') is null or contains(rel_path, getvariable('path')))
order by repo, fate, rel_path, file
limit coalesce(getvariable('rows'), 100);
