-- Has every repository of the corpus its licence texts to pass on, and which are they? Those without come first.
-- Not complete is what has no text of 400 characters, shorter than any licence: names of a licence, say, or of an author.
with kept as (
    select repo, commit_id, count(*) as files, sum(tokens) as tokens, list(distinct license order by license) as licenses
    from code.curated group by all
),
texts as (
    select repo, commit_id, count(*) as texts, sum(length("text")) as characters, max(length("text")) as longest,
        list(rel_path order by files desc, rel_path) as paths
    from code.attributions group by all
)
select
    k.repo, k.commit_id, k.files, k.tokens::bigint as tokens,
    array_to_string(k.licenses, ', ') as licenses,
    coalesce(t.longest >= 400, false) as complete,
    coalesce(t.texts, 0) as texts,
    coalesce(t.characters, 0)::bigint as characters,
    array_to_string(t.paths[:3], ', ') as paths
from kept k left join texts t using (repo, commit_id)
order by complete, k.files desc, k.repo, k.commit_id;
