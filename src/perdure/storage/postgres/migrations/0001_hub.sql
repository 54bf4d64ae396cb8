-- One task hub, in a schema of its own (its name stands wherever this text says "hub").
--
-- What a SQLite file holds is here too: *instance*, *history*, *inbox*, *activity*. What is added is for many processes:
-- *process* tells who is there; a row is alive until ``expires_at`` by this server's clock. *writer* has a row for each
-- process, which every transaction of it updates first: so whoever takes a process's partitions away waits for its
-- commit under way and keeps out all later ones, and ``token`` tells which of its transactions was the last to come
-- true. *partition* tells who holds which part of the instances, *offer* what work anybody may do, *errand* what a
-- process asks the holder of a partition.
--
-- Rows of an inbox come in the order of ``arrival``, which rises from transaction to transaction; ``position`` is the
-- sender's number for them. ``xid`` is set where the writer did not hold the target's partition: whoever does finds
-- the row by it.
--
-- Times are microseconds since 1970, UTC, but for ``expires_at``. Payloads are text as it was given: json and jsonb would
-- change it. Checksums are CRC-32 over a row's own values, computed by the program. Texts that are compared have the
-- collation "C", which is the order of code points.
--
-- Functions and row types carry a version in their name, so that programs of two versions can work side by side.

create table hub.setting (
    name text collate "C" primary key,
    value bigint not null
);

create sequence hub.arrival;
create sequence hub.number_block;

create table hub.process (
    number bigint generated always as identity primary key,
    name text not null,
    runs boolean not null default false,
    expires_at timestamptz not null
) with (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 500);

create table hub.writer (
    process bigint primary key,
    incarnation bigint not null default 0,
    token bigint not null default 0,
    answer text,
    buried_at timestamptz
) with (fillfactor = 20, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000,
        autovacuum_vacuum_cost_delay = 0);

create table hub.partition (
    number smallint primary key,
    epoch bigint not null default 0,
    owner bigint,
    claim bigint
) with (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 500);

create table hub.instance (
    number bigint primary key,
    id text collate "C" not null unique,
    kind smallint not null check (kind in (0, 1)),
    name text collate "C" not null,
    execution_id text not null,
    created_at bigint not null,
    version text,
    input text,
    generation integer not null check (generation >= 0),
    parent text,
    scheduled_start_at bigint,
    trace_context text,
    tags text,
    origin_crc bigint not null,
    status smallint not null check (status between 0 and 7),
    updated_at bigint not null,
    last_seq integer not null check (last_seq >= -1),
    custom_status text,
    output text,
    failure text,
    completed_at bigint,
    episode_at bigint,
    awaited_events text,
    state text,
    locked_by text,
    progress_crc bigint not null,
    partition smallint not null,
    folded_name text collate "C"
) with (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_threshold = 2000,
        autovacuum_vacuum_cost_delay = 0);

create index instance_by_creation on hub.instance (kind, created_at, id);
create index instance_by_completion on hub.instance (completed_at, id) where completed_at is not null;
create index instance_by_status on hub.instance (status, created_at, id) where kind = 0 and status <> 1;

create table hub.history (
    instance bigint not null,
    first_seq integer not null check (first_seq >= 0),
    count integer not null check (count > 0),
    format smallint not null,
    events text not null,
    crc bigint not null,
    primary key (instance, first_seq)
);

create table hub.inbox (
    position bigint primary key,
    partition smallint not null,
    target text collate "C" not null,
    due_at bigint,
    format smallint not null,
    message text not null,
    crc bigint not null,
    xid bigint,
    arrival bigint not null default nextval('hub.arrival')
) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_cost_delay = 0);

create index inbox_by_target on hub.inbox (partition, target);
create index inbox_by_due on hub.inbox (partition, due_at) where due_at is not null;
create index inbox_by_xid on hub.inbox (partition, xid) where xid is not null;

create table hub.activity (
    number bigint primary key,
    instance bigint not null,
    execution_id text not null,
    seq integer not null,
    task_id integer not null,
    name text not null,
    input text,
    crc bigint not null,
    version text,
    tags text,
    trace_context text,
    partition smallint not null
) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_cost_delay = 0);

create index activity_by_instance on hub.activity (partition, instance);

create table hub.offer (
    number bigint primary key,
    kind text collate "C" not null,
    name text collate "C" not null,
    version text,
    instance_id text collate "C" not null,
    partition smallint not null,
    body text not null,
    placed bigint not null default nextval('hub.arrival'),
    claimed_by bigint,
    token bigint,
    answer text
) with (fillfactor = 70, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000,
        autovacuum_vacuum_cost_delay = 0);

create index offer_by_age on hub.offer (placed) where claimed_by is null and answer is null;
create index offer_by_key on hub.offer (kind, name, coalesce(version, '')) where claimed_by is null and answer is null;
create index offer_by_claim on hub.offer (claimed_by) where claimed_by is not null;
create index offer_by_instance on hub.offer (partition, instance_id);

create table hub.errand (
    number bigint primary key,
    asker bigint not null,
    partition smallint not null,
    body text not null,
    answer text
);

-- Where the server has it, lz4 costs a third of the default's processor time; 13 and some builds have it not. As texts,
-- since 13 knows no such words and would not even read the block.
do $body$
begin
    execute 'alter table hub.history alter column events set compression lz4';
    execute 'alter table hub.inbox alter column message set compression lz4';
    execute 'alter table hub.instance alter column input set compression lz4';
    execute 'alter table hub.instance alter column output set compression lz4';
    execute 'alter table hub.instance alter column state set compression lz4';
exception
    when feature_not_supported or syntax_error or invalid_parameter_value then null;
end $body$;

insert into hub.setting (name, value) values ('version', 0), ('usable_from', 1);
