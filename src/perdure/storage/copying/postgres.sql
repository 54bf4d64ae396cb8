-- Reading a whole hub, and filling one; "hub" stands for its schema. The first column says up to where a row reaches.

-- name: counts
select (select count(*) from hub.instance), (select count(*) from hub.history),
    (select count(*) from hub.activity), (select count(*) from hub.inbox);

-- name: working
select name from hub.process where expires_at > now() order by number;

-- name: fingerprint
-- Whoever writes is on the list first, and its number is new.
select last_value from hub.process_number_seq;

-- name: last_block
select last_value from hub.number_block;

-- name: instances
select
    number as reached,
    (select coalesce(sum(length(h.events)), 0)::bigint from hub.history h where h.instance = i.number) as history_bytes,
    number, id, kind, name, execution_id, created_at, version, input, generation, parent, scheduled_start_at,
    trace_context, tags, origin_crc,
    status, updated_at, last_seq, custom_status, output, failure, completed_at, episode_at, awaited_events, state,
    locked_by, progress_crc
from hub.instance i where number > $1 order by number limit $2;

-- name: history
select instance, first_seq, count, format, events, crc from hub.history
where instance > $1 and instance <= $2 order by instance, first_seq;

-- name: activities
select
    number as reached,
    number, instance, execution_id, seq, task_id, name, input, crc, version, tags, trace_context
from hub.activity where number > $1 order by number limit $2;

-- name: messages
select arrival as reached, position, target, due_at, format, message, crc
from hub.inbox where arrival > $1 order by arrival, position limit $2;

-- name: empty
truncate hub.instance, hub.history, hub.inbox, hub.activity, hub.offer, hub.errand;

-- name: note_copy
insert into hub.setting (name, value) values ($1, $2) on conflict (name) do update set value = excluded.value;

-- name: forget_copy
delete from hub.setting where starts_with(name, 'copy_');

-- name: partitions_of
select number, partition from hub.instance where number = any($1::bigint[]);

-- name: skip_blocks
select setval('hub.number_block', greatest((select last_value from hub.number_block), $1));

-- name: look_at_tables
analyze hub.instance, hub.history, hub.inbox, hub.activity;
