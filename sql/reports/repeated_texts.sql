-- Which texts are repeated most often over all snapshots, and where is the document that was kept?
-- $rows = 20: how many texts to show
with copies as (
    select duplicate_of as id, count(*) as copies, count(distinct snapshot) as snapshots
    from web.duplicates
    group by duplicate_of
    order by copies desc, id
    limit coalesce(getvariable('rows'), 20)
)
select copies, snapshots, d.snapshot as kept_in, d.language, d.characters, d.url, left(d.text, 80) as beginning, id
from copies left join web.documents d using (id)
order by copies desc, id;
