-- The documents that every model was trained on, itself or through the models that it was made from. The training
-- sequences are those that the lake holds now; `shards_current` is false if another model was trained on newer
-- sequences. It stays true after new sequences that no model was trained on.
create view lineage.model_documents as
with packed as (
    select document, source, count(*) as pieces, sum(tokens)::bigint as tokens, count(distinct sequence) as sequences
    from blend.pieces group by all
),
readers as (
    select model_table, model_id, model, model_version, max(input_version) as shards_version
    from lineage.model_inputs where input_table = 'blend.token_shards' group by all
)
select
    r.model_table, r.model_id, r.model, r.model_version, r.shards_version,
    r.shards_version = max(r.shards_version) over () as shards_current,
    p.document, p.source, p.pieces, p.sequences, p.tokens
from readers r cross join packed p;
comment on view lineage.model_documents is 'The documents of the training sequences that the lake holds now, for every model that was trained on such sequences, one line per model version and document.';
comment on column lineage.model_documents.model_table is 'table of the model, as models.base';
comment on column lineage.model_documents.model_id is 'id of the model version';
comment on column lineage.model_documents.model is 'name of the model';
comment on column lineage.model_documents.model_version is 'version of the model, as 1';
comment on column lineage.model_documents.shards_version is 'newest Delta version of blend.token_shards that the model was trained on';
comment on column lineage.model_documents.shards_current is 'false if another model was trained on a newer version: then this model may have seen documents that are not listed, and lack documents that are';
comment on column lineage.model_documents.document is 'id of the document; the column source names its table';
comment on column lineage.model_documents.source is 'table of the document, as web.nemotron_cc_v2';
comment on column lineage.model_documents.pieces is 'number of pieces of the document in the training sequences';
comment on column lineage.model_documents.sequences is 'number of training sequences with a piece of the document';
comment on column lineage.model_documents.tokens is 'number of tokens of the document in the training sequences';
