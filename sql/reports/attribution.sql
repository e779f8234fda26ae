-- Which licence and notice texts must be passed on with the files of every repository in the code corpus?
-- Repositories without any text come first, then those that only name a licence, for which its standard text was added.
with kept as (
    select repo, commit_id, count(*) as files, sum(tokens) as tokens, list(distinct license order by license) as licenses
    from code.curated group by all
),
texts as (
    select repo, commit_id, count(*) as texts, count(*) filter (origin = 'standard') as added,
        sum(length("text")) as characters, list(rel_path order by origin, files desc, rel_path) as paths
    from code.attributions group by all
)
select
    k.repo, k.commit_id, k.files, k.tokens::bigint as tokens,
    array_to_string(k.licenses, ', ') as licenses,
    coalesce(t.texts, 0) as texts,
    coalesce(t.added, 0) as added,
    coalesce(t.characters, 0)::bigint as characters,
    array_to_string(t.paths[:3], ', ') as paths
from kept k left join texts t using (repo, commit_id)
order by texts > 0, added desc, k.files desc, k.repo, k.commit_id;
