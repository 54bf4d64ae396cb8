-- What a worker of another language wants to know of an activity besides its name.
-- The checksum covers both columns where one of them has a value.

alter table activity add column version text;
alter table activity add column tags text;
