-- In which encodings and media types are the pages, what decided the encoding, and how many pages give no document?
select
    p.charset,
    p.charset_source,
    p.mime,
    count(*) as pages,
    share(count(*), sum(count(*)) over ()) as percent,
    count_if(p.fate = 'charset_corrected') as corrected,
    count_if(d.page is null) as without_document
from snapshots.pages p
left join (select distinct unnest(parents) as page from web.documents) d on d.page = p.id
group by p.charset, p.charset_source, p.mime
order by pages desc, p.charset, p.charset_source, p.mime;
