-- How much of each snapshot is left after every stage, from the crawl to the training sequences: one line per snapshot
-- and stage. The query reads counts and lengths, no texts, but it adds up the tokens of the last stage piece by piece,
-- which takes a while on a large lake.
create view web.funnel as
with
levels as (
    select ['high', 'medium_high', 'medium', 'medium_low', 'low'] as names
),
subsets as (
    select ['High-Quality', 'Medium-High-Quality', 'Medium-Quality', 'High-Quality-Synthetic', 'Diverse-QA',
            'Translated-Diverse-QA'] as names
),
stages(snapshot, step, stage, "rows", tokens) as (
    select snapshot, 10, 'records', sum(records), null::hugeint from snapshots.records group by all
    union all
    select snapshot, 20, 'pages', count(*), null from snapshots.pages group by all
    union all
    select snapshot, 30, 'documents', count(*), sum(characters) // 4 from web.documents group by all
    union all
    select snapshot, 40, 'unique documents', count(*), sum(characters) // 4 from web.unique_documents group by all
    union all
    select snapshot, 50 + list_position(levels.names, level), 'quality ' || level, count(*), sum(bytes) // 4
    from web.quality, levels group by all
    union all
    select snapshot, 60, 'curated', count(*), sum(characters) // 4 from web.curated group by all
    union all
    select snapshot, 70, 'multilingual', count(*), sum(characters) // 4 from web.multilingual group by all
    union all
    select snapshot, 80, 'rephrased', count(*), sum(tokens) from web.rephrased group by all
    union all
    select snapshot, 90, 'questions and answers', count(*), sum(tokens) from web.diverse_qa group by all
    union all
    select snapshot, 100, 'translations', count(*), sum(tokens) from web.translated_diverse_qa group by all
    union all
    select snapshot, 110 + coalesce(list_position(subsets.names, subset), 9), subset, count(*), sum(characters) // 4
    from web.nemotron_cc_v2, subsets group by all
    union all
    select d.snapshot, 120, 'training sequences', count(distinct p.document), sum(p.tokens)
    from blend.pieces p
    join (
        select id, 'web.nemotron_cc_v2' as source, snapshot from web.nemotron_cc_v2
        union all
        select id, 'web.multilingual', snapshot from web.multilingual
        union all
        select id, 'math.nemotron_cc_math', snapshot from math.nemotron_cc_math
        union all
        select id, 'math.mind', snapshot from math.mind
    ) d on d.id = p.document and d.source = p.source
    group by all
)
select snapshot, step::integer as step, stage, "rows"::bigint as "rows", tokens::bigint as tokens
from stages;
comment on view web.funnel is 'How much of each snapshot is left after every stage, one line per snapshot and stage.';
comment on column web.funnel.snapshot is 'crawl snapshot (CC-MAIN-2024-51), or name of the ingested data set';
comment on column web.funnel.step is 'place of the stage in the order of the pipeline: 10, 20, ...';
comment on column web.funnel.stage is 'name of the stage, as documents; subsets of the release under their published names, as High-Quality';
comment on column web.funnel.rows is 'number of records, pages, documents or texts after this stage; in training sequences, of different texts';
comment on column web.funnel.tokens is 'number of tokens: of pages and published texts, a quarter of the characters; of quality levels, a quarter of the bytes; of generated texts, as the generator counts; in training sequences, those trained on';
