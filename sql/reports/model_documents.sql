-- Which documents is a model made of, the largest first?
-- The documents are those of the training sequences that the lake holds now; `current` is false if another model was
-- trained on newer sequences.
-- The place is an address, or a repository and path; for a text that a model wrote, `nemotron trace ID` leads to it.
-- $model = : only the model of this name
-- $version = : only this version of the model
-- $source = : only documents of this table, as math.nemotron_cc_math
-- $rows = 50: how many documents to show of every model version
with places as (
    select id, 'math.nemotron_cc_math' as source, url as place from math.nemotron_cc_math
    union all
    select id, 'web.multilingual', url from web.multilingual
    union all
    select id, 'code.curated', repo || '/' || rel_path from code.curated
    union all
    select n.id, 'web.nemotron_cc_v2', c.url from web.nemotron_cc_v2 n join web.curated c on c.id = n.parents[1]
)
select
    d.model,
    d.model_version as version,
    d.source,
    d.tokens,
    share(d.tokens, sum(d.tokens) over (partition by d.model_id)) as percent,
    d.pieces,
    d.shards_current as current,
    d.document,
    p.place
from lineage.model_documents d left join places p on p.id = d.document and p.source = d.source
where (getvariable('model') is null or d.model = getvariable('model'))
  and (getvariable('version') is null or d.model_version = getvariable('version'))
  and (getvariable('source') is null or d.source = getvariable('source'))
qualify row_number() over (partition by d.model_id order by d.tokens desc, d.document) <= coalesce(getvariable('rows'), 50)
order by d.model, d.model_version, d.tokens desc, d.document;
