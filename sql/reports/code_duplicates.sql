-- Which repositories hold copies of files of which other repositories, and what decided which file is kept?
select
    repo,
    duplicate_of_repo,
    kind,
    split_part(why, ':', 1) as decided_by,
    count(*) as files,
    round(avg(similarity), 4) as mean_similarity,
    round(avg(containment), 4) as mean_containment
from code.duplicates
group by all
order by files desc, repo, duplicate_of_repo, kind, decided_by;
