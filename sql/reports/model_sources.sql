-- How many documents and tokens of every source is each model version made of?
-- The documents are those of the training sequences that the lake holds now; `current` is false if another model was
-- trained on newer sequences.
select
    model,
    model_version as version,
    source,
    count(*) as documents,
    sum(tokens)::bigint as tokens,
    share(sum(tokens), sum(sum(tokens)) over (partition by model_id)) as percent_of_tokens,
    shards_version,
    any_value(shards_current) as current
from lineage.model_documents
group by model_id, model, model_version, source, shards_version
order by model, model_version, tokens desc, source;
