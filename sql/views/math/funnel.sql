-- How much mathematics is left after every stage, from pages with formulas to the published subsets and dialogues: one
-- line per snapshot and stage.
create view math.funnel as
with stages(snapshot, step, stage, "rows", formulas, tokens) as (
    select snapshot, 10, 'candidate pages', count(*), null::hugeint, null::hugeint from math.candidate_pages group by all
    union all
    select snapshot, 20, 'rendered', count(*), sum(formulas), sum(characters) // 4 from math.rendered group by all
    union all
    select snapshot, 30, 'cleaned', count(*), sum(formulas), sum(characters) // 4 from math.cleaned group by all
    union all
    select c.snapshot, 40, 'not duplicates', count(*), sum(c.formulas), sum(c.characters) // 4
    from math.cleaned c anti join (select parents[1] as id from math.duplicates) d on d.id = c.id
    group by all
    union all
    select c.snapshot, 50, 'nor contaminated', count(*), sum(c.formulas), sum(c.characters) // 4
    from math.cleaned c
    anti join (select parents[1] as id from math.duplicates) d on d.id = c.id
    anti join (select parents[1] as id from math.contamination where removed) x on x.id = c.parents[1]
    group by all
    union all
    select snapshot, case category when '3' then 60 else 70 end, 'subset ' || category, count(*), null, sum(characters) // 4
    from math.nemotron_cc_math group by all
    union all
    select snapshot, 80, 'dialogues', count(*), null, sum(tokens) from math.mind group by all
)
select snapshot, step::integer as step, stage, "rows"::bigint as "rows", formulas::bigint as formulas,
    tokens::bigint as tokens
from stages;
comment on view math.funnel is 'How much mathematics is left after every stage, one line per snapshot and stage.';
comment on column math.funnel.snapshot is 'crawl snapshot (CC-MAIN-2024-51), or name of the ingested data set';
comment on column math.funnel.step is 'place of the stage in the order of the pipeline: 10, 20, ...';
comment on column math.funnel.stage is 'name of the stage, as cleaned; published subsets as "subset 3"';
comment on column math.funnel.rows is 'number of pages or dialogues after this stage';
comment on column math.funnel.formulas is 'number of formulas in the texts; null for stages that do not count formulas';
comment on column math.funnel.tokens is 'number of tokens: of pages, a quarter of the characters; of dialogues, as the generator counts';
