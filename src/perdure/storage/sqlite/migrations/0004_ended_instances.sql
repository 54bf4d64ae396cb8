-- Lists of what has ended, in the order in which it did. Only ended instances are in it, each added at its end, so that
-- a running one pays nothing.

create index instance_by_completion on instance (completed_at) where completed_at is not null;
