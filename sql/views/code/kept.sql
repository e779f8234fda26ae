-- The code corpus with what must accompany it: for every file its text, the evidence of its licence, and the licence
-- texts to pass on.
create view code.kept as
select
    c.id, c.parents[1] as file, c.repo, c.commit_id, c.rel_path, c.language, c.license,
    l.scope, l.evidence_kind, l.evidence_path,
    coalesce(a.texts, 0) as attribution_texts,
    coalesce(a.paths, []) as attribution_paths,
    c.redactions, c.tokens, c.content
from code.curated c
left join code.licenses l on l.file = c.parents[1]
left join (
    select repo, commit_id, count(*) as texts, list(rel_path order by rel_path) as paths
    from code.attributions group by all
) a on a.repo = c.repo and a.commit_id = c.commit_id;
comment on view code.kept is 'One line per file of the code corpus: its text, its licence with the evidence, and the licence texts to pass on.';
comment on column code.kept.id is 'id of the row of code.curated';
comment on column code.kept.file is 'id of the file in code.files';
comment on column code.kept.repo is 'repository as owner/name';
comment on column code.kept.commit_id is 'commit of the repository, in hex; a hash of the content if the source has no commits';
comment on column code.kept.rel_path is 'path of the file inside the repository, as src/main.py';
comment on column code.kept.language is 'programming language of the file, as Python';
comment on column code.kept.license is 'SPDX expression of the licence under which the file is used, as MIT';
comment on column code.kept.scope is 'where the deciding evidence of the licence was: file, folder (nearest licence upwards) or repository';
comment on column code.kept.evidence_kind is 'kind of the deciding evidence, as header or licence_file';
comment on column code.kept.evidence_path is 'path of the file with the deciding evidence';
comment on column code.kept.attribution_texts is 'number of licence and notice texts of the repository in code.attributions';
comment on column code.kept.attribution_paths is 'paths of these texts inside the repository';
comment on column code.kept.redactions is 'number of credentials and personal data that were replaced in the text';
comment on column code.kept.tokens is 'number of tokens, estimated from the characters';
comment on column code.kept.content is 'text of the file, in which credentials and personal data are replaced';
