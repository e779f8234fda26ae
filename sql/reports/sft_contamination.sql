-- Which benchmark items were found in which rows of SFT data, in which split of the benchmark, and by which words?
-- Removed rows come first, then rows with items of a split that the recipe does not remove.
-- $benchmark = : only items of this benchmark, for example gsm8k
select
    source, removed, benchmark, split, item, rule, field, matched, "of", ngrams[1] as common_words, row_text, item_text,
    parents[1] as row_id
from sft.contaminated
where getvariable('benchmark') is null or benchmark = getvariable('benchmark')
order by removed desc, source, benchmark, item, row_id;
