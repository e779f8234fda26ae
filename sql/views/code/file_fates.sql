-- What happened to every file of the repositories (kept or dropped), with every reason for it.
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
comment on view code.file_fates is 'One line per file of the repositories: whether it is in the code corpus, with every reason.';
comment on column code.file_fates.file is 'id of the file in code.files';
comment on column code.file_fates.repo is 'repository as owner/name';
comment on column code.file_fates.commit_id is 'commit of the repository, in hex; a hash of the content if the source has no commits';
comment on column code.file_fates.rel_path is 'path of the file inside the repository, as src/main.py';
comment on column code.file_fates.language is 'programming language of the file, as Python; unknown if nothing tells';
comment on column code.file_fates.bytes is 'size of the file in bytes, as it is in the repository';
comment on column code.file_fates.fate is 'kept (it is in code.curated), dropped, or not judged (the file is newer than the last run of the corpus)';
comment on column code.file_fates.rules is 'every reason why the file was dropped, as in code.dropped: duplicate, secret, ...; empty for other files';
comment on column code.file_fates.tokens is 'number of tokens, estimated from the characters; null for a file that was not judged';
comment on column code.file_fates.license is 'SPDX expression of the file''s licence, as MIT; null if no licence was found';
comment on column code.file_fates.decision is 'what the recipe says about this licence: allowed, rejected, or review (a person must decide)';
comment on column code.file_fates.licence_why is 'the rule that decided about the licence, a colon and its reason, such as repository_licence: MIT';
comment on column code.file_fates.scope is 'where the deciding evidence was: file, folder (nearest licence upwards), repository, or none';
comment on column code.file_fates.evidence_kind is 'kind of the deciding evidence, as header or licence_file; null if there is no evidence';
comment on column code.file_fates.evidence_path is 'path of the file with the deciding evidence; null if there is no evidence';
comment on column code.file_fates.start_line is 'first line of the evidence in that file, from 1';
comment on column code.file_fates.end_line is 'last line of the evidence in that file';
comment on column code.file_fates.copy_kind is 'exact (same text) or near (similar text); null if the file is not a copy';
comment on column code.file_fates.duplicate_of is 'id of the file that is kept instead of this copy; null if the file is not a copy';
comment on column code.file_fates.duplicate_of_repo is 'repository of the file that is kept instead of this copy; null if the file is not a copy';
comment on column code.file_fates.duplicate_of_path is 'path of the file that is kept instead of this copy; null if the file is not a copy';
comment on column code.file_fates.similarity is 'Jaccard similarity to the file that is kept, 0 to 1; null if the file is not a copy';
comment on column code.file_fates.copy_why is 'why the other file is kept, as "licence: MIT before MPL-2.0"; null if the file is not a copy';
