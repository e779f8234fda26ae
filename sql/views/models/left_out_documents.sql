-- The documents in the batches that trainings left out, because the loss or the gradient was not a finite number or was a
-- spike. The documents of a sequence are found in the table of sequences as it is now: blend.sequences for the
-- pretraining, align.sequences for the supervised stages, both for a distillation.
create view models.left_out_documents as
with sequences as (
    select
        model, model_id, step, kind, coalesce(sequences, 'blend.sequences/' || sequence_length) as packed_in,
        generate_subscripts(positions, 1) as place,
        unnest(data_sets) as data_set, unnest(shards) as shard, unnest(positions) as position,
        sequence_losses
    from models.training_events where positions is not null
),
pieces as (
    select
        s.* exclude (sequence_losses), s.sequence_losses[s.place] as sequence_loss,
        p.id as sequence, unnest(p.parents) as tokens_id
    from sequences s
    join (
        select 'blend.sequences/' || part as packed_in, shard, position, id, parents from blend.sequences
        union all select 'align.sequences/' || part, shard, position, id, parents from align.sequences
    ) p on list_contains(string_split(s.packed_in, ' + '), p.packed_in) and p.shard = s.shard and p.position = s.position
),
documents as (
    select id, parents, sources from blend.token_shards
    union all select id, parents, sources from align.token_shards
)
select distinct
    p.model, p.model_id, p.step, p.kind, p.place, p.data_set, p.shard, p.position, p.sequence, p.sequence_loss,
    p.tokens_id, d.parents[1] as document, d.sources[1] as source
from pieces p join documents d on d.id = p.tokens_id;
comment on view models.left_out_documents is 'The documents in batches that a training left out, one line per event, sequence of the batch and document.';
comment on column models.left_out_documents.model is 'name of the model, as laptop-base';
comment on column models.left_out_documents.model_id is 'id of the model version';
comment on column models.left_out_documents.step is 'number of the optimizer step whose batch was left out';
comment on column models.left_out_documents.kind is 'nan: the loss or the gradient was not a finite number; spike: it was far above the losses or gradients of earlier steps';
comment on column models.left_out_documents.place is 'place of the sequence in the batch, from 1';
comment on column models.left_out_documents.data_set is 'data set of the sequence: a table, and its subset if it has subsets, as web.nemotron_cc_v2/Diverse-QA';
comment on column models.left_out_documents.shard is 'shard of documents that were packed together, as data set/snapshot/number';
comment on column models.left_out_documents.position is 'place of the sequence in the shard, from 0';
comment on column models.left_out_documents.sequence is 'id of the training sequence in blend.sequences or align.sequences';
comment on column models.left_out_documents.sequence_loss is 'loss of the sequence in this batch, in nats per predicted token; null: not a finite number, or not known';
comment on column models.left_out_documents.tokens_id is 'id of the document in blend.token_shards or align.token_shards';
comment on column models.left_out_documents.document is 'id of the row with the text of the document; the column source names the table of this row';
comment on column models.left_out_documents.source is 'table that the row in the column document is in, as web.nemotron_cc_v2';
