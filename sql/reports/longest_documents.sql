-- Which unique documents are the longest, and how do they begin?
-- $rows = 20: how many documents to show
-- $language = : only this language
select
    snapshot,
    language,
    characters,
    url,
    left(text, 80) as beginning,
    id
from web.unique_documents
where getvariable('language') is null or language = getvariable('language')
order by characters desc, id
limit coalesce(getvariable('rows'), 20);
