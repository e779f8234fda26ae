-- How many files are under each licence, what was decided about them, and where was the deciding evidence?
select coalesce(license, 'none found') as license, decision, scope, count(*) as files, count(distinct repo) as repositories
from code.licenses
group by all
order by files desc, license, decision, scope;
