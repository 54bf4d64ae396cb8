-- One task hub.
--
-- An *instance* is an orchestration or an entity. It has a text id for the world and an integer number for the other
-- tables, since integer keys keep the hot indexes small. Its row is its record: where it comes from (written once per
-- execution) and how far it is (written at each checkpoint).
-- *history* holds what an orchestration's execution went through: one row per episode, appended, never updated. It is
-- stored in the order of arrival, so that a commit of many instances writes neighbouring pages, and found through an
-- index of two integers.
-- *inbox* holds the messages that no episode has taken yet; the target need not exist. Most messages never get a row:
-- the checkpoint that consumes them is their only record.
-- *activity* holds what was scheduled and has not ended.
-- *setting* holds the few facts about the hub itself.
--
-- Times are microseconds since 1970, UTC. Payloads are JSON text as it was given. Checksums are CRC-32 over a row's
-- own values, computed by the program.

create table setting (
    name text not null primary key,
    value integer not null
) strict, without rowid;

insert into setting (name, value) values ('epoch', 0), ('numbers_reserved', 1);

create table instance (
    number integer not null primary key,
    id text not null unique,
    kind integer not null check (kind in (0, 1)),
    name text not null,
    execution_id text not null,
    created_at integer not null,
    version text,
    input text,
    generation integer not null check (generation >= 0),
    parent text,
    scheduled_start_at integer,
    trace_context text,
    tags text,
    origin_crc integer not null,
    status integer not null check (status between 0 and 7),
    updated_at integer not null,
    last_seq integer not null check (last_seq >= -1),
    custom_status text,
    output text,
    failure text,
    completed_at integer,
    episode_at integer,
    awaited_events text,
    state text,
    locked_by text,
    progress_crc integer not null
) strict;

create index instance_by_creation on instance (kind, created_at, id);

create table history (
    number integer not null primary key,
    instance integer not null,
    first_seq integer not null check (first_seq >= 0),
    count integer not null check (count > 0),
    format integer not null,
    events text not null,
    crc integer not null
) strict;

create unique index history_by_instance on history (instance, first_seq);

create table inbox (
    position integer not null primary key,
    target text not null,
    due_at integer,
    format integer not null,
    message text not null,
    crc integer not null
) strict;

create index inbox_by_target on inbox (target);
create index inbox_by_due on inbox (due_at) where due_at is not null;

create table activity (
    number integer not null primary key,
    instance integer not null,
    execution_id text not null,
    seq integer not null,
    task_id integer not null,
    name text not null,
    input text,
    crc integer not null
) strict;

create index activity_by_instance on activity (instance);
