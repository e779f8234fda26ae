-- What became of every file of the repositories, and all that is known about why.
create view code.file_fates as
with copies as (
    select parents[1] as file, duplicate_of, duplicate_of_repo, duplicate_of_path, kind, similarity, why
    from code.duplicates
)
select
    f.id as file, f.repo, f.commit_id, f.rel_path, f.language, f.bytes,
    case when c.id is not null then 'kept' when d.id is not null then 'dropped' else 'not judged' end as fate,
    coalesce(d.rules, []) as rules,
    coalesce(c.tokens, d.tokens) as tokens,
    l.license, l.decision, l.why as licence_why, l.scope, l.evidence_kind, l.evidence_path, l.start_line, l.end_line,
    x.kind as copy_kind, x.duplicate_of, x.duplicate_of_repo, x.duplicate_of_path, x.similarity, x.why as copy_why
from code.files f
left join (select id, parents[1] as file, tokens from code.curated) c on c.file = f.id
left join (select id, parents[1] as file, rules, tokens from code.dropped) d on d.file = f.id
left join code.licenses l on l.file = f.id
left join copies x on x.file = f.id;
comment on view code.file_fates is 'what became of every file of the repositories, and all that is known about why';
comment on column code.file_fates.file is 'id of the file, in code.files';
comment on column code.file_fates.repo is 'repository as owner/name';
comment on column code.file_fates.commit_id is 'commit the file is of';
comment on column code.file_fates.rel_path is 'path inside the repository';
comment on column code.file_fates.language is 'language of the file';
comment on column code.file_fates.bytes is 'size of the file in bytes';
comment on column code.file_fates.fate is 'kept, dropped, or not judged (newer than the last run of the corpus)';
comment on column code.file_fates.rules is 'every reason why it is dropped, as in code.dropped';
comment on column code.file_fates.tokens is 'estimate of tokens, from the characters';
comment on column code.file_fates.license is 'SPDX expression the file is under; null: none found';
comment on column code.file_fates.decision is 'what the recipe says of that licence: allowed, rejected or review';
comment on column code.file_fates.licence_why is 'the rule that decided about the licence, a colon and its reason, such as repository_licence: MIT';
comment on column code.file_fates.scope is 'what decided: file, folder, repository or none';
comment on column code.file_fates.evidence_kind is 'kind of the deciding evidence';
comment on column code.file_fates.evidence_path is 'file the deciding evidence stands in';
comment on column code.file_fates.start_line is 'its first line, from 1';
comment on column code.file_fates.end_line is 'its last line';
comment on column code.file_fates.copy_kind is 'of copies: exact or near';
comment on column code.file_fates.duplicate_of is 'of copies: id of the file that is kept in its place';
comment on column code.file_fates.duplicate_of_repo is 'of copies: repository of that file';
comment on column code.file_fates.duplicate_of_path is 'of copies: path of that file';
comment on column code.file_fates.similarity is 'of copies: Jaccard similarity';
comment on column code.file_fates.copy_why is 'of copies: what made the other one win';
