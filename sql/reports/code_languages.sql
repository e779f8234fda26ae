-- In which languages is the code, what told so, and how much of it is left without duplicates?
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
