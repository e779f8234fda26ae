-- Small functions that views and reports use, and that are handy in ad hoc queries.
create macro share(part, whole) as round(100.0 * part / nullif(whole, 0), 2);
comment on macro share is 'part of whole in percent, two decimals; null when the whole is 0';
