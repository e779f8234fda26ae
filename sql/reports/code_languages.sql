-- How much code is there in each language, and how many files are left without duplicates?
-- It also counts the files whose language was found by their content or their first line instead of their name.
select
    f.language,
    count(*) as files,
    sum(f.bytes)::bigint as bytes,
    share(sum(f.bytes), sum(sum(f.bytes)) over ()) as percent_of_bytes,
    count_if(f.language_by in ('content', 'shebang')) as told_by_content,
    count_if(d.file is null) as files_without_duplicates
from code.files f
left join (select parents[1] as file from code.duplicates) d on d.file = f.id
group by f.language
order by bytes desc, f.language;
