-- Which files must a person look at before they may be used, why, and on what evidence?
-- $repo = : only this repository
select repo, rel_path, license, why, evidence_kind, evidence_path, start_line, end_line, rule, round(score, 1) as score
from code.licenses
where decision = 'review' and (getvariable('repo') is null or repo = getvariable('repo'))
order by repo, rel_path;
