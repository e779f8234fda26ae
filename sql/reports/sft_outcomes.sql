-- What became of the answers for every table of SFT data: rows by status, rejected answers by cause?
select "table", kind, outcome, usable, number, tokens
from sft.outcomes
order by "table", kind desc, number desc, outcome;
