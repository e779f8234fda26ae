-- How many tokens does each category give in every phase, how often are its texts passed over, and how much is synthetic?
-- `epochs` are the passes from the first phase on, `synthetic` is a percentage, `available` are tokens in the lake. The
-- last column has NVIDIA's tokens of the same kinds of text, of 10.6T in all; the three levels of web pages are one kind.
-- $phase = : only this phase, for example phase-1
with given as (
    select
        number, phase, category,
        any_value(status) as status,
        any_value(recipe_share) as recipe_share,
        any_value(share) as share,
        sum(tokens) as tokens,
        coalesce(sum(tokens) filter (where synthetic), 0) as synthetic,
        max(epochs_until) as epochs_until
    from blend.phases
    where getvariable('phase') is null or phase = getvariable('phase')
    group by number, phase, category
),
had as (
    select category, sum(tokens) as tokens, any_value(published_tokens) as published
    from blend.categories group by category
)
select
    g.phase,
    coalesce(g.category, 'all') as category,
    case when grouping(g.category) = 0 then any_value(g.status) end as status,
    round(100 * sum(g.recipe_share), 2) as recipe_percent,
    round(100 * sum(g.share), 2) as percent,
    sum(g.tokens)::bigint as tokens,
    share(sum(g.synthetic), sum(g.tokens)) as synthetic,
    round(max(g.epochs_until), 2) as epochs,
    sum(h.tokens)::bigint as available,
    case when grouping(g.category) = 0 then any_value(h.published) end as nvidias_tokens
from given g left join had h using (category)
group by grouping sets ((g.number, g.phase, g.category), (g.number, g.phase))
order by g.number, grouping(g.category), tokens desc, category;
