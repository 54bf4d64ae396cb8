-- Every statement of the SQLite storage. ``:rows`` stands for as many rows of parameters as a call brings.

-- name: read_setting
select value from setting where name = ?;

-- name: write_setting
update setting set value = ? where name = ?;

-- Writing: in the order of Changes.

-- name: purgeable_by_id
-- The plus keeps SQLite from walking all orchestrations by their kind's index, which it does from eight ids on.
select number, id from instance where id in (:list) and +kind = 0 and status in (1, 3, 4, 5);

-- name: delete_instances
delete from instance where number in (select value from json_each(?));

-- name: delete_histories
delete from history where instance in (select value from json_each(?));

-- name: delete_activities_of
delete from activity where instance in (select value from json_each(?));

-- name: delete_messages_to
delete from inbox where target in (:list);

-- name: delete_messages
delete from inbox where position in (select value from json_each(?));

-- name: delete_activities
delete from activity where number in (select value from json_each(?));

-- name: update_progress
update instance set
    status = v.column1, updated_at = v.column2, last_seq = v.column3, custom_status = v.column4, output = v.column5,
    failure = v.column6, completed_at = v.column7, episode_at = v.column8, awaited_events = v.column9,
    state = v.column10, locked_by = v.column11, progress_crc = v.column12
from (values :rows) as v
where instance.number = v.column13 and instance.last_seq = v.column14;

-- name: make_running
-- What update_running takes for granted. It changes a row only when something wakes, which is seldom.
update instance set status = 0, output = null, failure = null, completed_at = null, state = null, locked_by = null
where number in (select value from json_each(?)) and (
    status <> 0 or output is not null or failure is not null or completed_at is not null or state is not null
    or locked_by is not null
);

-- name: update_running
-- An index over a column that a statement sets is written for each row, also where the value stays as it is.
update instance set
    updated_at = v.column1, last_seq = v.column2, custom_status = v.column3, episode_at = v.column4,
    awaited_events = v.column5, progress_crc = v.column6
from (values :rows) as v
where instance.number = v.column7 and instance.last_seq = v.column8;

-- name: update_one_progress
update instance set
    status = ?, updated_at = ?, last_seq = ?, custom_status = ?, output = ?, failure = ?, completed_at = ?,
    episode_at = ?, awaited_events = ?, state = ?, locked_by = ?, progress_crc = ?
where number = ? and last_seq = ?;

-- name: update_origin
update instance set
    name = v.column4, execution_id = v.column5, created_at = v.column6, version = v.column7, input = v.column8,
    generation = v.column9, parent = v.column10, scheduled_start_at = v.column11, trace_context = v.column12,
    tags = v.column13, origin_crc = v.column14
from (values :rows) as v
where instance.number = v.column1;

-- name: find_instances
select id, number, status from instance where id in (:list);

-- name: insert_instances
insert into instance (
    number, id, kind, name, execution_id, created_at, version, input, generation, parent, scheduled_start_at,
    trace_context, tags, origin_crc,
    status, updated_at, last_seq, custom_status, output, failure, completed_at, episode_at, awaited_events, state,
    locked_by, progress_crc
) values :rows;

-- name: insert_bare_instances
insert into instance (
    number, id, kind, name, execution_id, created_at, input, generation, origin_crc, status, updated_at, last_seq,
    episode_at, progress_crc
) values :rows;

-- name: insert_history
insert into history (instance, first_seq, count, format, events, crc) values :rows;

-- name: insert_activities
insert into activity (number, instance, execution_id, seq, task_id, name, input, crc, version, tags, trace_context)
values :rows;

-- name: insert_bare_activities
insert into activity (number, instance, execution_id, seq, task_id, name, input, crc) values :rows;

-- name: insert_messages
insert into inbox (position, target, due_at, format, message, crc) values :rows;

-- Reading.

-- name: status_of
select status from instance where id = ?;

-- name: instance_by_id
select
    number, id, kind, name, execution_id, created_at, version, input, generation, parent, scheduled_start_at,
    trace_context, tags, origin_crc,
    status, updated_at, last_seq, custom_status, output, failure, completed_at, episode_at, awaited_events, state,
    locked_by, progress_crc
from instance where id = ?;

-- name: instances_by_id
select
    number, id, kind, name, execution_id, created_at, version, input, generation, parent, scheduled_start_at,
    trace_context, tags, origin_crc,
    status, updated_at, last_seq, custom_status, output, failure, completed_at, episode_at, awaited_events, state,
    locked_by, progress_crc
from instance where id in (:list);

-- name: instances
select
    number, id, kind, name, execution_id, created_at, version, input, generation, parent, scheduled_start_at,
    trace_context, tags, origin_crc,
    status, updated_at, last_seq, custom_status, output, failure, completed_at, episode_at, awaited_events, state,
    locked_by, progress_crc
from instance where :condition;

-- name: order_of_instances
order by created_at, id limit ?;

-- name: ids_between
select count(*) from (select 1 from instance where id >= ? and id < ? limit ?);

-- name: instances_by_number
select
    number, id, kind, name, execution_id, created_at, version, input, generation, parent, scheduled_start_at,
    trace_context, tags, origin_crc,
    status, updated_at, last_seq, custom_status, output, failure, completed_at, episode_at, awaited_events, state,
    locked_by, progress_crc
from instance where number > ? order by number limit ?;

-- name: ended
select id, completed_at from instance where :condition order by completed_at, id limit ?;

-- name: backlog_sizes
select target, count(*) from inbox where target in (:list) group by target;

-- name: purgeable
select created_at, id from instance where :condition order by created_at, id limit ?;

-- name: history_of
select instance, first_seq, count, format, events, crc from history where instance = ? order by first_seq;

-- name: histories
select instance, first_seq, count, format, events, crc from history
where instance in (select value from json_each(?)) order by instance, first_seq;

-- name: ready_messages
select position, target, due_at, format, message, crc from inbox
where due_at is null or due_at <= ? order by position;

-- name: due_messages
select position, target, due_at, format, message, crc from inbox
where due_at > ? and due_at <= ? order by due_at, position;

-- name: messages_to
select position, target, due_at, format, message, crc from inbox
where target = ? and (due_at is null or due_at <= ?) order by position;

-- name: all_messages_to
select position, target, due_at, format, message, crc from inbox where target = ? order by position;

-- name: messages
select position, target, due_at, format, message, crc from inbox where position > ? order by position limit ?;

-- name: activities
select
    activity.number, activity.instance, activity.execution_id, activity.seq, activity.task_id, activity.name,
    activity.input, activity.crc, activity.version, activity.tags, activity.trace_context, instance.id
from activity left join instance on instance.number = activity.instance
where activity.number > ? order by activity.number limit ?;

-- name: activities_of
select execution_id, seq from activity where instance = ?;

-- name: orphan_histories
select distinct instance from history where instance not in (select number from instance) order by instance;

-- name: highest_number
select max(
    coalesce((select max(number) from instance), 0),
    coalesce((select max(position) from inbox), 0),
    coalesce((select max(number) from activity), 0)
);
