-- How much source code is left after every stage, from the files of the repositories to the training sequences: one
-- line per language and stage. Every stage counts only what all stages before it leave. The query reads no texts, but it
-- adds up the tokens of the last stage piece by piece, which takes a while on a large lake.
create view code.funnel as
with files as (
    select
        language, bytes, tokens, fate,
        list_has_any(rules, ['licence_rejected', 'licence_review', 'no_licence']) as no_licence,
        list_contains(rules, 'duplicate') as copy,
        list_has_any(rules, ['vendored', 'generated', 'minified']) as not_own,
        list_has_any(rules, ['not_screened', 'too_complex', 'secret', 'personal']) as late,
        len(list_filter(rules, rule -> rule not in (
            'licence_rejected', 'licence_review', 'no_licence', 'duplicate', 'vendored', 'generated', 'minified',
            'not_screened', 'too_complex', 'secret', 'personal'))) > 0 as by_rule
    from code.file_fates
),
trained as (
    select p.document, p.source, sum(p.tokens) as tokens
    from blend.pieces p where p.source in ('code.curated', 'code.qa') group by all
),
stages(language, step, stage, "rows", bytes, tokens) as (
    select language, 10, 'files', count(*), sum(bytes), sum(tokens) from files group by all
    union all
    select language, 20, 'allowed licence', count(*), sum(bytes), sum(tokens)
    from files where fate <> 'not judged' and not no_licence group by all
    union all
    select language, 30, 'not copies', count(*), sum(bytes), sum(tokens)
    from files where fate <> 'not judged' and not no_licence and not copy group by all
    union all
    select language, 40, 'own code', count(*), sum(bytes), sum(tokens)
    from files where fate <> 'not judged' and not no_licence and not copy and not not_own group by all
    union all
    select language, 50, 'kept by the rules', count(*), sum(bytes), sum(tokens)
    from files where fate <> 'not judged' and not no_licence and not copy and not not_own and not by_rule group by all
    union all
    select language, 60, 'curated', count(*), sum(bytes), sum(tokens) from files where fate = 'kept' group by all
    union all
    select language, 70, 'snippets', count(*), null, null from code.snippets group by all
    union all
    select language, 80, 'questions and answers', count(*), null, sum(tokens) from code.qa group by all
    union all
    select d.language, 90, 'training sequences', count(*), null, sum(t.tokens)
    from trained t
    join (
        select id, 'code.curated' as source, language from code.curated
        union all
        select id, 'code.qa', language from code.qa
    ) d on d.id = t.document and d.source = t.source
    group by all
)
select language, step::integer as step, stage, "rows"::bigint as "rows", bytes::bigint as bytes,
    tokens::bigint as tokens
from stages;
comment on view code.funnel is 'How much source code is left after every stage, one line per language and stage.';
comment on column code.funnel.language is 'programming language of the files, as Python';
comment on column code.funnel.step is 'place of the stage in the order of the pipeline: 10, 20, ...';
comment on column code.funnel.stage is 'name of the stage, as curated';
comment on column code.funnel.rows is 'number of files, snippets or texts after this stage; in training sequences, of different files and texts';
comment on column code.funnel.bytes is 'size of the files in bytes, as they are in the repositories; null for stages that do not count files';
comment on column code.funnel.tokens is 'number of tokens: of files, estimated from the characters; of generated texts, as the generator counts; in training sequences, those trained on';
