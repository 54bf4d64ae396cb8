-- The hot tables as the SQLite store has them, with the partition beside the number.

create table partition (
    number smallint primary key,
    epoch bigint not null,
    owner text,
    expires_at timestamptz
);

-- How many rounds each process has committed: what tells after a lost answer whether the last one is among them.
create table writer (
    process int primary key,
    incarnation int not null,
    round bigint not null
) with (fillfactor = 10);

insert into writer values (1, 1, 0);

create table instance (
    number bigint primary key,
    partition smallint not null,
    id text collate "C" not null unique,
    kind smallint not null,
    name text not null,
    execution_id text not null,
    created_at bigint not null,
    version text,
    input text,
    generation int not null,
    parent text,
    scheduled_start_at bigint,
    trace_context text,
    tags text,
    origin_crc bigint not null,
    status smallint not null,
    updated_at bigint not null,
    last_seq int not null,
    custom_status text,
    output text,
    failure text,
    completed_at bigint,
    episode_at bigint,
    awaited_events text,
    state text,
    locked_by text,
    progress_crc bigint not null
);

create table history (
    instance bigint not null,
    first_seq int not null,
    count int not null,
    format smallint not null,
    events text not null,
    crc bigint not null,
    primary key (instance, first_seq)
);

create table inbox (
    position bigint primary key,
    partition smallint not null,
    target text collate "C" not null,
    due_at bigint,
    format smallint not null,
    message text not null,
    crc bigint not null
);

create index inbox_by_target on inbox (target);

create table activity (
    number bigint primary key,
    instance bigint not null,
    partition smallint not null,
    execution_id text not null,
    seq int not null,
    task_id int not null,
    name text not null,
    input text,
    crc bigint not null
);

create index activity_by_instance on activity (instance);
