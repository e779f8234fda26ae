-- Does any row name a parent row that is in no table? An empty result is the good answer.
select child_table, parent_table, count(*) as edges, count(distinct child) as rows, any_value(child) as example
from lineage.dangling
group by child_table, parent_table
order by edges desc, child_table;
