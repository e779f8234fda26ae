-- Which versions of which tables was every model version made from, and which version is the newest in use?
-- Lines with direct = false are the tables that the training sequences were packed from, or that an earlier model read
-- (read_by) which the model was made from.
select
    i.model_table,
    i.model,
    i.model_version,
    i.input_table,
    i.input_version,
    max(i.input_version) over (partition by i.input_table) as newest_version_used,
    i.direct,
    i.read_by,
    i.trained_at,
    i.model_id
from lineage.model_inputs i
order by i.trained_at desc, i.model_id, i.direct desc, i.input_table, i.input_version;
