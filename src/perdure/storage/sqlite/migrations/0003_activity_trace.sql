-- The trace an activity belongs to, when the code that asked for it named one.
-- The checksum covers the column where it has a value.

alter table activity add column trace_context text;
