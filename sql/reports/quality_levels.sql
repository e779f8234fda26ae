-- How much text is in each quality level, and how often did each scorer decide the level?
with levels as (
    select
        snapshot,
        level,
        max(bucket) as highest_bucket,
        count(*) as documents,
        sum(bytes) as bytes,
        avg((edu_a_bucket = bucket)::int) as by_edu_a,
        avg((edu_b_bucket = bucket)::int) as by_edu_b,
        avg((reference_bucket = bucket)::int) as by_reference
    from web.quality
    group by all
)
select
    snapshot,
    level,
    documents,
    round(bytes / 1e6, 3) as mb,
    share(bytes, sum(bytes) over (partition by snapshot)) as percent_of_bytes,
    round(100 * by_edu_a, 1) as percent_by_edu_a,
    round(100 * by_edu_b, 1) as percent_by_edu_b,
    round(100 * by_reference, 1) as percent_by_reference
from levels
order by snapshot, highest_bucket desc;
