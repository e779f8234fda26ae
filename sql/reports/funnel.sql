-- From the crawl to training tokens: how much of each snapshot is left after every stage?
-- Percent is of the tokens that the documents had.
select
    snapshot,
    stage,
    "rows",
    tokens,
    share(tokens, max(tokens) filter (where stage = 'documents') over (partition by snapshot)) as percent_of_documents
from web.funnel
order by snapshot, step, stage;
