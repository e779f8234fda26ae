-- Which table versions every model version was made from, itself or through the models that it was made from.
create view lineage.model_inputs as
with recursive models as materialized (  -- read once, however many generations of models there are
    select model_table, id, name, version, parents, source_versions, "at" from lineage.models
),
ancestors as (  -- of every model: the model itself, its parents, their parents, ...
    select model_table, id, model_table as reader_table, id as reader, parents from models
    union
    select a.model_table, a.id, p.model_table, p.id, p.parents
    from (select *, unnest(parents) as parent from ancestors) a
    join models p on p.id = a.parent
),
read_tables as (
    select child_table, child, parent_table, parent_version, true as direct from lineage.version_edges
    union all
    select model_table, id, split_part(source, '@', 1), split_part(source, '@', 2)::bigint, false
    from (select *, unnest(source_versions) as source from models)
)
select
    m.model_table,
    m.id as model_id,
    m.name as model,
    m.version as model_version,
    r.parent_table as input_table,
    r.parent_version as input_version,
    m."at" as trained_at,
    r.direct and a.reader = a.id as direct,
    a.reader as read_by
from models m
join ancestors a on a.model_table = m.model_table and a.id = m.id
join read_tables r on r.child_table = a.reader_table and r.child = a.reader;
comment on view lineage.model_inputs is 'One line per model version and table version that the model, or a model it was made from, was made from.';
comment on column lineage.model_inputs.model_table is 'table of the model, as models.base';
comment on column lineage.model_inputs.model_id is 'id of the model version';
comment on column lineage.model_inputs.model is 'name of the model';
comment on column lineage.model_inputs.model_version is 'version of the model, as 1';
comment on column lineage.model_inputs.input_table is 'table that the model was made from, as blend.token_shards';
comment on column lineage.model_inputs.input_version is 'Delta version of that table';
comment on column lineage.model_inputs.trained_at is 'when the model version was stored, or last came into use again';
comment on column lineage.model_inputs.direct is 'true if the training of this model read the table; false if its training sequences were packed from the table, or an earlier model read it';
comment on column lineage.model_inputs.read_by is 'id of the model that was made from the table: the model itself, or an earlier model that it was made from';
