-- What operators ask about the hubs of a database; "hub" stands for one hub's schema.

-- name: entries
-- A schema that holds our tables is a hub; one that this user may not read is nobody's business.
select
    n.nspname as schema,
    (select sum(pg_total_relation_size(c.oid))::bigint from pg_class c
     where c.relnamespace = n.oid and c.relkind in ('r', 'm')) as size
from pg_namespace n
where n.nspname like 'perdure\_%' and has_schema_privilege(n.oid, 'usage')
    and exists (select from pg_class c where c.relnamespace = n.oid and c.relname = 'setting')
    and exists (select from pg_class c where c.relnamespace = n.oid and c.relname = 'writer')
order by n.nspname;

-- name: names
select n.nspname as schema, obj_description(n.oid, 'pg_namespace') as comment from pg_namespace n
where n.nspname like 'perdure\_%' and has_schema_privilege(n.oid, 'usage')
    and exists (select from pg_class c where c.relnamespace = n.oid and c.relname = 'setting')
    and exists (select from pg_class c where c.relnamespace = n.oid and c.relname = 'writer')
order by n.nspname;

-- name: version
select value from hub.setting where name = 'version';

-- name: hosts_count
select count(*) from hub.process where runs and expires_at > now();

-- name: hosts
-- Whoever runs partitions, and whoever held some when it was seen last.
select
    p.number, p.name, p.expires_at > now() as is_alive, p.expires_at,
    coalesce((select array_agg(q.number order by q.number) from hub.partition q where q.owner = p.number), '{}')
        as partitions
from hub.process p
where p.runs or exists (select from hub.partition q where q.owner = p.number)
order by p.number;

-- name: working_hosts
select name from hub.process where runs and expires_at > now() order by number;

-- name: partitions
select number, owner from hub.partition order by number;

-- name: backlog
-- Messages carry no time of their own: what is known is when one was due, and when an instance was made whose start
-- nobody has taken.
select
    (select count(*) from hub.inbox where due_at is null or due_at <= t.now) as messages,
    (select count(*) from hub.activity) as activities,
    least(
        (select min(due_at) from hub.inbox where due_at <= t.now),
        (select min(created_at) from hub.instance
         where kind = 0 and status = $1 and coalesce(scheduled_start_at, 0) <= t.now)
    ) as oldest,
    t.now as now
from (select (extract(epoch from clock_timestamp()) * 1000000)::bigint as now) t;

-- name: connections
select count(*) as used, current_setting('max_connections')::int as most
from pg_stat_activity where backend_type = 'client backend';

-- name: size
select sum(pg_total_relation_size(c.oid))::bigint from pg_class c join pg_namespace n on n.oid = c.relnamespace
where n.nspname = $1 and c.relkind in ('r', 'm');
