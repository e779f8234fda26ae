-- Broken lineage: rows whose parent is in no table. Normally empty. The query scans all columns of ids and parents.
create view lineage.dangling as
select e.* from lineage.edges e anti join lineage.rows r on r.id = e.parent;
comment on view lineage.dangling is 'One line per pair of a row and a parent that is in no table. Normally empty.';
comment on column lineage.dangling.child is 'id of the row whose parent is missing';
comment on column lineage.dangling.child_table is 'table of that row, as web.documents';
comment on column lineage.dangling.parent is 'id of the parent that is in no table';
comment on column lineage.dangling.parent_table is 'table in which the parent should be; null if it could be in several tables';
