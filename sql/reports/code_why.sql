-- Why is a file in the code corpus, or why was it dropped?
-- Lists every reason, the licence with its evidence, and for a copy the file that is kept in its place.
-- $repo = : only this repository
-- $path = : only files whose path contains this text
-- $rows = 100: how many files to show
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
