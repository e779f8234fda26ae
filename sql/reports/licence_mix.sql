-- Under which licences are the files, and what was decided about them by what?
select coalesce(license, 'none found') as license, decision, scope, count(*) as files, count(distinct repo) as repositories
from code.licenses
group by all
order by files desc, license, decision, scope;
