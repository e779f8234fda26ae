-- How much does every snapshot add to the corpus, and how much of it is new?
select
    snapshot,
    pages,
    documents,
    unique_documents,
    share(unique_documents, documents) as percent_new,
    unique_tokens,
    published_texts,
    published_tokens,
    unique_documents_so_far,
    published_tokens_so_far
from web.growth
order by snapshot;
