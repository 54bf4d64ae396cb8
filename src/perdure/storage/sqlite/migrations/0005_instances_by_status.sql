-- Lists of the instances of a status, in the order of their creation.
-- Nearly all of a large store are completed, and those are found by going through all; the others are few, and to find
-- none of them must not take reading everything. An instance that completes pays for its way through the index and
-- leaves nothing in it.

create index instance_by_status on instance (status, created_at, id) where kind = 0 and status <> 1;
