-- The split of texts into those that are trained on and those that are held out, as nemotron_assets/held_out.py makes it.
create macro page_hash(url) as
    md5(rtrim(regexp_replace(regexp_replace(url, '^https?://(?:www\.)?', '', 'i'), '#.*', '', 's'), '/'));
comment on macro page_hash is 'hash of the address of a page, which decides whether the page is held out; the same as the column origin_hash of texts from pages and of texts written from them: page_hash(''https://www.a.example/b/'')';
create macro is_held_out(hash, fraction) as ('0x' || right(hash, 8))::bigint < round(fraction * 4294967296);
comment on macro is_held_out is 'whether a text is held out, by its origin_hash, or by its content_hash if it is not from a page, and the held-out share of the recipe: is_held_out(page_hash(url), 0.05)';
