-- For which files must a person decide whether their licence is acceptable, why, and on what evidence?
-- $repo = : only this repository
select
    l.repo, l.rel_path, l.license, l.why, l.evidence_kind, l.evidence_path, l.start_line, l.end_line, l.rule,
    round(l.score, 1) as score,
    len(d.rules) = 1 as otherwise_kept,
    d.tokens,
    l.file
from code.licenses l
left join (select parents[1] as file, rules, tokens from code.dropped) d on d.file = l.file
where l.decision = 'review' and (getvariable('repo') is null or l.repo = getvariable('repo'))
order by l.repo, l.rel_path;
