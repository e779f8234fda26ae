-- Which languages do the documents of each snapshot have, and how many documents are left after deduplication?
-- $rows = 15: how many languages per snapshot to show
with mix as (
    select
        snapshot, language,
        count(*) as documents, sum(characters) as characters, avg(language_score) as mean_score
    from web.documents
    group by all
),
kept as (
    select snapshot, language, count(*) as unique_documents from web.unique_documents group by all
)
select
    snapshot,
    language,
    documents,
    share(documents, sum(documents) over (partition by snapshot)) as percent,
    characters::bigint as characters,
    coalesce(unique_documents, 0) as unique_documents,
    round(mean_score, 3) as mean_score
from mix left join kept using (snapshot, language)
qualify row_number() over (partition by snapshot order by documents desc, language) <= coalesce(getvariable('rows'), 15)
order by snapshot, documents desc, language;
