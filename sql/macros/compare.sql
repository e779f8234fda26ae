-- Two models compared item by item. `nemotron compare` does the same, with bootstrap intervals.
create macro mcnemar(gained, lost) as
    case when gained + lost = 0 then 1.0 else least(1.0, 2 * list_sum(list_transform(
        range(0, least(gained, lost)::bigint + 1),
        lambda k: exp(lgamma(gained + lost + 1) - case when k = 0 then 0 else lgamma(k + 1) end
            - lgamma(gained + lost - k + 1) - (gained + lost) * ln(2))
    ))) end;
comment on macro mcnemar is 'McNemar''s exact test: two-sided probability by chance that of all items whose answers differ so many became right (gained) and so many wrong (lost): mcnemar(30, 5)';

create macro evaluate.pairs(first_id, second_id) as table (
    select task, metric, length, shots, item, any_value(weight) as weight,
        avg(score) filter (model_id = first_id) as first_score, avg(score) filter (model_id = second_id) as second_score,
        arg_min(answer, run) filter (model_id = first_id) as first_answer,
        arg_min(answer, run) filter (model_id = second_id) as second_answer
    from evaluate.item_scores
    where model_id in (first_id, second_id)
    group by task, metric, length, shots, item
    having count(*) filter (model_id = first_id) > 0 and count(*) filter (model_id = second_id) > 0
);
comment on macro table evaluate.pairs is 'The items that two models (ids) have answered after as many worked examples, with both scores and answers. Several answers to one item count as their mean.';

create macro evaluate.compared(first_id, second_id) as table (
    with rows as (
        from evaluate.pairs(first_id, second_id)
        union all by name
        select * replace ('suite' as task) from evaluate.pairs(first_id, second_id) where task like 'suite\_%' escape '\'
    ),
    found as (
        select *, second_score - first_score as d, case metric when 'bits_per_byte' then -1 else 1 end as sign,
            sum(weight * (second_score - first_score)) over own / sum(weight) over own as mean_d
        from rows
        window own as (partition by task, metric, length)
    )
    select task, metric, length, count(*) as items, sum(first_score * weight) / sum(weight) as "first",
        sum(second_score * weight) / sum(weight) as "second", any_value(mean_d) as difference,
        1.96 * sqrt(sum((weight * (d - mean_d)) ** 2) * count(*) / nullif(count(*) - 1, 0)) / sum(weight) as plus_minus,
        count(*) filter (sign * d > 0) as better, count(*) filter (sign * d < 0) as worse,
        case when bool_and(sign = 1 and first_score in (0, 1) and second_score in (0, 1))
            then mcnemar(count(*) filter (d > 0), count(*) filter (d < 0)) end as p_value
    from found
    group by task, metric, length
    order by task, metric, length
);
comment on macro table evaluate.compared is 'Two models (ids) on the items that both have answered, by task: scores, difference (second - first), plus_minus (half of the 95% interval, 1.96 paired standard errors), items on which the second is better and worse, and McNemar''s exact p where every answer is right or wrong: from evaluate.compared(''ID'', ''ID'')';

create macro evaluate.flipped(first_id, second_id) as table (
    select task, metric, length, item, second_score = 1 as gained, first_answer, second_answer
    from evaluate.pairs(first_id, second_id)
    where metric <> 'bits_per_byte' and first_score in (0, 1) and second_score in (0, 1) and first_score <> second_score
    order by gained, task, metric, item
);
comment on macro table evaluate.flipped is 'The items that one of two models (ids) answered right and the other wrong; gained: the second is right.';
