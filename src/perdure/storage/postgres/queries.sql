-- Every statement of the PostgreSQL storage but for those that write: they are functions of the schema.
-- "hub" stands for the hub's schema.

-- name: write
select taken, purged from hub.write_1(
    $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20
);

-- name: announce
select hub.announce_1($1, $2::float8 * interval '1 second');

-- name: renew
select * from hub.renew_1($1, $2::float8 * interval '1 second', $3);

-- name: bury
select hub.bury_1($1, true);

-- name: depart
select hub.bury_1($1, false);

-- name: resolve
select incarnation, token, answer from hub.resolve_1($1);

-- name: claim
select partitions, epochs from hub.claim_1($1, $2, $3, $4);

-- name: give_back
select hub.give_back_1($1, $2, $3, $4, $5);

-- name: reserve_numbers
select nextval('hub.number_block');

-- name: mark
select pg_snapshot_xmin(pg_current_snapshot())::text::bigint;

-- name: forget_foreign_xids
-- A row that is there, of a transaction that is yet to come: it was restored from another server, which is further than
-- this one. It would be told of at each reading. Whoever holds its partition has it from the backlog.
update hub.inbox set xid = null where position = any(array(
    select f.position from hub.partition p cross join lateral (
        select m.position from hub.inbox m
        where m.partition = p.number and m.xid is not null
            and m.xid >= pg_snapshot_xmax(pg_current_snapshot())::text::bigint
        for update skip locked
    ) f
));

-- name: ready_messages
select position, target, due_at, format, message, crc from hub.inbox
where partition = any($1::smallint[]) and (due_at is null or due_at <= $2) order by arrival;

-- name: due_messages
select position, target, due_at, format, message, crc from hub.inbox
where partition = any($1::smallint[]) and due_at > $2 and due_at <= $3 order by due_at, arrival;

-- name: arrivals
-- The mark is of the snapshot of this statement: whatever it did not see has this xid or a later one.
select pg_snapshot_xmin(pg_current_snapshot())::text::bigint, m.position, m.target, m.due_at, m.format, m.message, m.crc
from (select 1) always left join (
    select * from hub.inbox where partition = any($1::smallint[]) and xid is not null and xid >= $2
) m on true order by m.arrival;

-- name: messages_to
select position, target, due_at, format, message, crc from hub.inbox
where partition = $1 and target = $2 and (due_at is null or due_at <= $3) order by arrival;

-- name: activities_in
select
    a.number, a.instance, a.execution_id, a.seq, a.task_id, a.name, a.input, a.crc, a.version, a.tags,
    a.trace_context, i.id
from hub.activity a join hub.instance i on i.number = a.instance
where a.partition = any($1::smallint[]) and not exists (select 1 from hub.offer o where o.number = a.number)
order by a.number;

-- name: load
select
    i.number, i.id, i.kind, i.name, i.execution_id, i.created_at, i.version, i.input, i.generation, i.parent,
    i.scheduled_start_at, i.trace_context, i.tags, i.origin_crc,
    i.status, i.updated_at, i.last_seq, i.custom_status, i.output, i.failure, i.completed_at, i.episode_at,
    i.awaited_events, i.state, i.locked_by, i.progress_crc,
    array(
        select row(h.instance, h.first_seq, h.count, h.format, h.events, h.crc)::hub.history_1
        from hub.history h where h.instance = i.number order by h.first_seq
    )
from hub.instance i where i.id = any($1::text[]);

-- name: statuses_of
select id, status from hub.instance where id = any($1::text[]);

-- name: instances
select
    number, id, kind, name, execution_id, created_at, version, input, generation, parent, scheduled_start_at,
    trace_context, tags, origin_crc,
    status, updated_at, last_seq, custom_status, output, failure, completed_at, episode_at, awaited_events, state,
    locked_by, progress_crc
from :source where :condition;

-- name: every_instance
hub.instance

-- name: few_instances
-- The planner keeps out of it: whatever else is asked, these few are read and looked through.
(select * from hub.instance where id >= ? and id < ? offset 0) few

-- name: ids_between
select count(*) from (select 1 from hub.instance where id >= $1 and id < $2 limit $3) few;

-- name: ended
select id, completed_at from hub.instance where :condition order by completed_at, id limit :limit;

-- name: backlog_sizes
select m.target, count(*) from unnest($1::smallint[], $2::text[]) g(partition, id)
join hub.inbox m on m.partition = g.partition and m.target = g.id group by m.target;

-- name: purgeable
select created_at, id from hub.instance where :condition order by created_at, id limit :limit;

-- name: instances_by_number
select
    i.number, i.id, i.kind, i.name, i.execution_id, i.created_at, i.version, i.input, i.generation, i.parent,
    i.scheduled_start_at, i.trace_context, i.tags, i.origin_crc,
    i.status, i.updated_at, i.last_seq, i.custom_status, i.output, i.failure, i.completed_at, i.episode_at,
    i.awaited_events, i.state, i.locked_by, i.progress_crc,
    array(
        select row(h.instance, h.first_seq, h.count, h.format, h.events, h.crc)::hub.history_1
        from hub.history h where h.instance = i.number order by h.first_seq
    ), i.partition
from hub.instance i where i.number > $1 order by i.number limit $2;

-- name: orphan_histories
select distinct h.instance from hub.history h
where not exists (select 1 from hub.instance i where i.number = h.instance) order by h.instance;

-- name: all_messages
select position, target, due_at, format, message, crc, partition from hub.inbox
where position > $1 order by position limit $2;

-- name: all_activities
select
    a.number, a.instance, a.execution_id, a.seq, a.task_id, a.name, a.input, a.crc, a.version, a.tags,
    a.trace_context, i.id
from hub.activity a left join hub.instance i on i.number = a.instance
where a.number > $1 order by a.number limit $2;

-- name: messages_to_many
select m.position, m.target, m.due_at, m.format, m.message, m.crc
from (select distinct partition, id from unnest($1::smallint[], $2::text[]) g(partition, id)) g
join hub.inbox m on m.partition = g.partition and m.target = g.id;

-- name: instances_by_id
select
    number, id, kind, name, execution_id, created_at, version, input, generation, parent, scheduled_start_at,
    trace_context, tags, origin_crc,
    status, updated_at, last_seq, custom_status, output, failure, completed_at, episode_at, awaited_events, state,
    locked_by, progress_crc
from hub.instance where id = any($1::text[]);

-- name: activities_of
select execution_id, seq from hub.activity where partition = $1 and instance = $2;

-- name: offer
select hub.offer_1($1, $2, $3, $4, $5, $6);

-- name: offer_claimed
select hub.offer_claimed_1($1, $2, $3, $4, $5, $6);

-- name: claim_offers
select number, kind, name, version, instance_id, partition, body, $3::bigint from hub.claim_offers_1($1, $2, $3, $4, $5, $6, $7);

-- name: waiting_offers
-- From one key to the next, so that many offers with one key cost no more than one.
with recursive found as (
    (
        select kind, name, coalesce(version, '') as version from hub.offer
        where claimed_by is null and answer is null order by 1, 2, 3 limit 1
    )
    union all
    select n.* from found f cross join lateral (
        select o.kind, o.name, coalesce(o.version, '') from hub.offer o
        where o.claimed_by is null and o.answer is null
            and (o.kind, o.name, coalesce(o.version, '')) > (f.kind, f.name, f.version)
        order by 1, 2, 3 limit 1
    ) n
)
select kind, name, nullif(version, '') from found;

-- name: finish_offers
select hub.finish_offers_1($1, $2, $3, $4, $5, $6, $7, $8, $9);

-- name: offers_of
select o.kind, o.name, p.name from hub.offer o left join hub.process p on p.number = o.claimed_by
where o.partition = $1 and o.instance_id = $2 order by o.number;

-- name: give_up_offers
update hub.offer o set claimed_by = null, token = null
from unnest($1::bigint[], $2::bigint[]) g(number, token) where o.number = g.number and o.token = g.token;

-- name: take_answers
select number, answer from hub.offer
where partition = any($1::smallint[]) and answer is not null order by placed;

-- name: withdraw
select hub.withdraw_1($1, $2, $3, $4, $5, $6);

-- name: leave_errand
insert into hub.errand (number, asker, partition, body) values ($1, $2, $3, $4) on conflict (number) do nothing;

-- name: errands
select number, asker, partition, body from hub.errand
where partition = any($1::smallint[]) and answer is null order by number;

-- name: answer_errand
update hub.errand set answer = $2 where number = $1 and answer is null;

-- name: answered_errands
select number, answer from hub.errand where asker = $1 and answer is not null;

-- name: drop_errands
delete from hub.errand where number = any($1::bigint[]);

-- name: look
-- What a notification would tell of, for who cannot hear any. By partition, whatever the statistics say of long tables.
select
    exists (
        select 1 from hub.partition p cross join lateral (
            select 1 from hub.inbox m where m.partition = p.number and m.xid is not null limit 1
        ) m where p.owner = $1
    ) as has_arrivals,
    exists (select 1 from hub.offer where claimed_by is null and answer is null)
    or exists (
        select 1 from hub.partition p cross join lateral (
            select 1 from hub.offer o where o.partition = p.number and o.answer is not null limit 1
        ) o where p.owner = $1
    ) as has_offers,
    exists (
        select 1 from hub.errand e left join hub.partition p on p.number = e.partition
        where case when e.answer is null then p.owner = $1 else e.asker = $1 end
    ) as has_errands,
    (select string_agg(concat_ws(' ', number, owner), ',' order by number) from hub.partition)
    || (select string_agg(concat_ws(' ', number, runs), ',' order by number) from hub.process) as holders;

-- name: notify
select pg_notify($1, $2);
