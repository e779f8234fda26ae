-- The lineage graph from one row, for the plain duckdb program. `nemotron trace` shows more, and reads less data.
create macro lineage.ancestors(start_id) as table (
    with recursive up(id, table_name, distance) as (
        select id, table_name, 0 from lineage.rows where id = start_id
        union
        select e.parent, e.parent_table, up.distance + 1 from up join lineage.edges e on e.child = up.id
    )
    select id, table_name, min(distance) as distance from up group by all order by distance, table_name, id
);
comment on macro table lineage.ancestors is 'The row with this id, and all rows it was made from: id, table and distance, the smallest number of steps.';

create macro lineage.descendants(start_id) as table (
    with recursive down(id, table_name, distance) as (
        select id, table_name, 0 from lineage.rows where id = start_id
        union
        select e.child, e.child_table, down.distance + 1 from down join lineage.edges e on e.parent = down.id
    )
    select id, table_name, min(distance) as distance from down group by all order by distance, table_name, id
);
comment on macro table lineage.descendants is 'The row with this id, and all rows made from it: id, table and distance, the smallest number of steps.';
