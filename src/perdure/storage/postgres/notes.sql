-- The small texts of a hub; "hub" stands for its schema.

-- name: read
select name, text from hub.note where starts_with(name, $1) order by name;

-- name: add
insert into hub.note (name, text) select * from unnest($1::text[], $2::text[]) on conflict (name) do nothing;

-- name: put
insert into hub.note (name, text) select * from unnest($1::text[], $2::text[])
on conflict (name) do update set text = excluded.text;

-- name: remove
delete from hub.note where name = any($1::text[]);
