-- Small functions for views, reports and queries of your own.
create macro share(part, whole) as round(100.0 * part / nullif(whole, 0), 2);
comment on macro share is 'part as a percentage of whole, with two decimals: share(1, 3) is 33.33; null if whole is 0';
