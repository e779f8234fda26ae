-- Which table versions every model version was made from.
create view lineage.model_inputs as
select
    m.model_table,
    m.id as model_id,
    m.name as model,
    m.version as model_version,
    e.parent_table as input_table,
    e.parent_version as input_version,
    m."at" as trained_at,
    true as direct
from lineage.models m
join lineage.version_edges e on e.child = m.id and e.child_table = m.model_table
union all
select
    model_table, id, name, version, split_part(source, '@', 1), split_part(source, '@', 2)::bigint, "at", false
from (select *, unnest(source_versions) as source from lineage.models);
comment on view lineage.model_inputs is 'One line per model version and table version that the model was made from.';
comment on column lineage.model_inputs.model_table is 'table of the model, as models.base';
comment on column lineage.model_inputs.model_id is 'id of the model version';
comment on column lineage.model_inputs.model is 'name of the model';
comment on column lineage.model_inputs.model_version is 'version of the model, as 1';
comment on column lineage.model_inputs.input_table is 'table that the model was made from, as blend.token_shards';
comment on column lineage.model_inputs.input_version is 'Delta version of that table';
comment on column lineage.model_inputs.trained_at is 'when the model version was stored, or last came into use again';
comment on column lineage.model_inputs.direct is 'true if the training read this table; false if the training sequences were packed from it';
