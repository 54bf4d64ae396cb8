-- Small texts that all hosts of the hub share, by name: the keys of callers ("key/…") and when timers ran ("timer/…").

create table hub.note (
    name text collate "C" primary key,
    text text not null
);
