-- How many training tokens come from each source, and how often is a document used on average?
select
    source,
    sum(tokens)::bigint as tokens,
    share(sum(tokens), sum(sum(tokens)) over ()) as percent,
    count(distinct document) as documents,
    count(*) as pieces,
    round(count_if(first_token = 0) / nullif(count(distinct document), 0), 2) as uses_per_document,
    round(sum(tokens) / count(*), 1) as tokens_per_piece
from blend.pieces
group by source
order by tokens desc, source;
