-- From the crawl to training tokens: how much of each snapshot is left after every stage?
select
    snapshot,
    records,
    pages,
    share(pages, records) as pages_percent,
    documents,
    share(documents, pages) as documents_percent,
    unique_documents,
    share(unique_documents, documents) as unique_percent,
    qa_documents,
    qa_pairs,
    tokens
from web.funnel
order by snapshot;
