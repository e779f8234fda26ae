-- How much text does each prompt write about the pages of each quality level, and how long is it relative to its page?
select
    r.snapshot,
    r.prompt,
    c.level,
    r.generator,
    count(*) as texts,
    sum(r.tokens)::bigint as tokens,
    round(avg(r.tokens), 1) as tokens_per_text,
    share(sum(r.tokens), sum(c.characters) / 4) as percent_of_pages
from web.rephrased r join web.curated c on c.id = r.parents[1]
group by r.snapshot, r.prompt, c.level, r.generator
order by r.snapshot, texts desc, r.prompt, c.level, r.generator;
