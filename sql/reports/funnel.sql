-- How much of each snapshot is left after every stage, from the crawl to training tokens?
-- The percentage is of the tokens in the snapshot's documents.
select
    snapshot,
    stage,
    "rows",
    tokens,
    share(tokens, max(tokens) filter (where stage = 'documents') over (partition by snapshot)) as percent_of_documents
from web.funnel
order by snapshot, step, stage;
