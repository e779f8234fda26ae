-- How many unique documents never reached a training sequence, neither as they are nor as a text written from them?
-- Documents that are held out for evaluation count as unused; never_published counts those that were filtered out.
with used as (
    select distinct document as id, source from blend.pieces
),
written as (  -- the texts that can be published, and the curated page that each is, or was written from
    select id, id as page from web.curated
    union all
    select id, parents[1] from web.rephrased
    union all
    select id, parents[1] from web.diverse_qa
    union all
    select t.id, q.parents[1] from web.translated_diverse_qa t join web.diverse_qa q on q.id = t.parents[1]
),
published as (
    select c.parents[1] as document, r.sources[1] = 'web.curated' as itself, u.id is not null as trained_on
    from web.nemotron_cc_v2 r
    join written w on w.id = r.parents[1]
    join web.curated c on c.id = w.page
    left join used u on u.id = r.id and u.source = 'web.nemotron_cc_v2'
    union all
    select m.parents[1], true, u.id is not null
    from web.multilingual m left join used u on u.id = m.id and u.source = 'web.multilingual'
),
reached as (
    select
        document,
        bool_or(trained_on and itself) as direct,
        bool_or(trained_on and not itself) as written_from
    from published
    group by document
),
documents as (
    select
        d.snapshot, d.language, d.characters,
        r.document is not null as published,
        coalesce(r.direct, false) as direct,
        coalesce(r.written_from, false) as written_from
    from web.unique_documents d
    left join reached r on r.document = d.id
)
select
    snapshot,
    language,
    count(*) as documents,
    count_if(direct) as used,
    count_if(written_from and not direct) as only_through_what_was_written,
    count_if(not direct and not written_from) as never_used,
    count_if(not published) as never_published,
    share(count_if(not direct and not written_from), count(*)) as percent_never_used,
    coalesce(sum(characters) filter (where not direct and not written_from), 0)::bigint as characters_never_used
from documents
group by snapshot, language
order by snapshot, never_used desc, language;
