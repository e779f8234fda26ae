-- Broken lineage: rows that name a parent which no table has. Normally empty; a scan of every id and parents column.
create view lineage.dangling as
select e.* from lineage.edges e anti join lineage.rows r on r.id = e.parent;
comment on view lineage.dangling is 'rows that name a parent which no table has; normally empty';
comment on column lineage.dangling.child is 'id of the row';
comment on column lineage.dangling.child_table is 'table it stands in';
comment on column lineage.dangling.parent is 'the id it names and nobody has';
comment on column lineage.dangling.parent_table is 'table that should have it; null if there are several candidates';
