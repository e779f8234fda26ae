-- The corpus with what must go with it: every kept file, what its licence was told by, and the texts to pass on.
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
comment on view code.kept is 'every file of the corpus with its text, its licence, and the licence texts to pass on';
comment on column code.kept.id is 'id of the row of code.curated';
comment on column code.kept.file is 'id of the file, in code.files';
comment on column code.kept.repo is 'repository as owner/name';
comment on column code.kept.commit_id is 'commit the file is of';
comment on column code.kept.rel_path is 'path inside the repository';
comment on column code.kept.language is 'language of the file';
comment on column code.kept.license is 'SPDX expression the file is used under';
comment on column code.kept.scope is 'what decided its licence: file, folder or repository';
comment on column code.kept.evidence_kind is 'kind of the deciding evidence';
comment on column code.kept.evidence_path is 'file the deciding evidence stands in';
comment on column code.kept.attribution_texts is 'licence and notice texts of the repository, in code.attributions';
comment on column code.kept.attribution_paths is 'their paths';
comment on column code.kept.redactions is 'credentials and personal data that were replaced in the text';
comment on column code.kept.tokens is 'estimate of tokens, from the characters';
comment on column code.kept.content is 'the text, credentials and personal data replaced';
