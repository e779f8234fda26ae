-- How many questions and answers come out of the documents of each language, and how long are they?
with pairs as (
    select snapshot, language, prompt, count(*) as qa_documents, sum(question_count) as pairs, sum(tokens) as tokens
    from web.diverse_qa
    group by all
),
documents as (
    select snapshot, language, count(*) as documents from web.unique_documents group by all
)
select
    p.snapshot,
    p.language,
    p.prompt,
    d.documents,
    p.qa_documents,
    share(p.qa_documents, d.documents) as percent_of_documents,
    p.pairs::bigint as pairs,
    round(p.pairs / p.qa_documents, 2) as pairs_per_document,
    p.tokens::bigint as tokens
from pairs p left join documents d on d.snapshot = p.snapshot and d.language = p.language
order by p.snapshot, p.qa_documents desc, p.language, p.prompt;
