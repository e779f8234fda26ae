-- What does each rule keep of every source, host or language as its threshold moves?
-- A line per rule and name has the share kept at the recipe's threshold, and at multiples of it. Rules that drop most
-- come first.
-- $by = : what is counted by: source (if it is not given), host, language or repository
-- $rule = : only this rule, such as digit_share
-- $only = : only this source, host, language or repository
with chosen as (
    select * from audit.thresholds
    where "by" = coalesce(getvariable('by'), 'source')
        and (getvariable('rule') is null or rule = getvariable('rule'))
        and (getvariable('only') is null or name = getvariable('only'))
)
select
    measured,
    name,
    rule,
    bound,
    any_value(threshold) filter (factor = 1) as threshold,
    max("rows") as "rows",
    round(100 * any_value(kept_share) filter (factor = 1), 2) as percent_kept,
    string_agg(format('{:g}: {:.1f}', factor, 100 * kept_share), ', ' order by factor) as percent_kept_at_multiples
from chosen
group by measured, name, rule, bound
order by percent_kept, "rows" desc, measured, name, rule, bound;
