-- How many unique documents never reached a training sequence, neither as they are nor as a text written from them?
-- Documents that are held out for evaluation count as unused; never_published counts those that were filtered out.
with used as (
    select distinct document as id, source from blend.pieces
),
published as (
    select r.origin_hash, r.sources[1] = 'web.curated' as itself, u.id is not null as trained_on
    from web.nemotron_cc_v2 r left join used u on u.id = r.id and u.source = 'web.nemotron_cc_v2'
    union all
    select m.content_hash, true, u.id is not null
    from web.multilingual m left join used u on u.id = m.id and u.source = 'web.multilingual'
),
reached as (
    select
        origin_hash as content_hash,
        bool_or(trained_on and itself) as direct,
        bool_or(trained_on and not itself) as written_from
    from published
    group by origin_hash
),
documents as (
    select
        d.snapshot, d.language, d.characters,
        r.content_hash is not null as published,
        coalesce(r.direct, false) as direct,
        coalesce(r.written_from, false) as written_from
    from web.unique_documents d
    left join reached r using (content_hash)
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
