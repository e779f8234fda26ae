-- The score of every model version on every item: benchmarks, held-out texts, RULER and the suite.
create view evaluate.item_scores as
select model, model_id, model_version, task, metric, null::bigint as length, shots, item, run, score, weight, answer, "at", id
from evaluate.item_results
union all by name
select model, model_id, model_version, 'ruler_' || task as task, 'recall' as metric, length, 0 as shots, item, 0 as run,
    recall as score, 1.0 as weight, answer, "at", id
from evaluate.ruler_answers
union all by name
select model, model_id, model_version, 'suite_' || task as task, 'right' as metric, null::bigint as length, 0 as shots,
    item, 0 as run, "right"::double as score, 1.0 as weight, answer, "at", id
from evaluate.suite_answers;
comment on view evaluate.item_scores is 'The score of every model version on every item: benchmarks, held-out texts, RULER and the suite. The macros evaluate.compared and evaluate.flipped compare two models with it.';
comment on column evaluate.item_scores.model is 'name of the model';
comment on column evaluate.item_scores.model_id is 'id of the model version, in a table of models such as models.base';
comment on column evaluate.item_scores.model_version is 'version of the model, as 1';
comment on column evaluate.item_scores.task is 'benchmark (gsm8k), held_out_ and a kind of text, ruler_ and a task of RULER, or suite_ and a task of the suite';
comment on column evaluate.item_scores.metric is 'what was measured; bits_per_byte is better when it is lower, all other metrics when they are higher';
comment on column evaluate.item_scores.length is 'tokens of a prompt and its answer, for RULER; null for other tasks';
comment on column evaluate.item_scores.shots is 'number of worked examples in the prompt';
comment on column evaluate.item_scores.item is 'id of the item, or of the row with the held-out text';
comment on column evaluate.item_scores.run is 'number of the answer among the answers of the model to this item, from 0';
comment on column evaluate.item_scores.score is '1 or 0, a share from 0 to 1, or bits per byte';
comment on column evaluate.item_scores.weight is 'weight of the item in the mean over the items: bytes of a text, number of instructions of a prompt, else 1';
comment on column evaluate.item_scores.answer is 'what the model wrote, or the choice that it found most likely';
comment on column evaluate.item_scores."at" is 'when the item was measured';
comment on column evaluate.item_scores.id is 'id of the row in its table, for `nemotron trace`';
