-- What a program calls to write. One call is one transaction and one round trip; rows come as arrays of row types,
-- which both sides read three times as fast as an array for each column.
--
-- Refusals have codes of their own: PD001 the process was buried, or its connection has been given up as lost since;
-- PD002 partitions are held by somebody else; PD003 ids are taken; PD004 something contradicts what is stored.
-- Plans are made once and go by keys, whatever the statistics say: a table may have grown a thousandfold since.

create type hub.place_1 as (number bigint, partition smallint, id text);

create type hub.origin_1 as (
    number bigint, id text, kind smallint, name text, execution_id text, created_at bigint, version text, input text,
    generation integer, parent text, scheduled_start_at bigint, trace_context text, tags text, origin_crc bigint,
    folded_name text
);

create type hub.progress_1 as (
    status smallint, updated_at bigint, last_seq integer, custom_status text, output text, failure text,
    completed_at bigint, episode_at bigint, awaited_events text, state text, locked_by text, progress_crc bigint,
    number bigint, expected_seq integer
);

create type hub.instance_1 as (
    number bigint, id text, kind smallint, name text, execution_id text, created_at bigint, version text, input text,
    generation integer, parent text, scheduled_start_at bigint, trace_context text, tags text, origin_crc bigint,
    status smallint, updated_at bigint, last_seq integer, custom_status text, output text, failure text,
    completed_at bigint, episode_at bigint, awaited_events text, state text, locked_by text, progress_crc bigint,
    partition smallint, folded_name text
);

create type hub.history_1 as (
    instance bigint, first_seq integer, count integer, format smallint, events text, crc bigint
);

create type hub.activity_1 as (
    number bigint, instance bigint, execution_id text, seq integer, task_id integer, name text, input text, crc bigint,
    version text, tags text, trace_context text, partition smallint
);

create type hub.message_1 as (
    position bigint, target text, due_at bigint, format smallint, message text, crc bigint, partition smallint,
    is_arrival boolean
);

create type hub.child_1 as (
    instance hub.instance_1, keeps_finished boolean, start hub.message_1, if_taken hub.message_1
);

create function hub.fence_1(
    p_process bigint, p_incarnation bigint, p_token bigint, p_partitions smallint[], p_epochs bigint[]
) returns void language plpgsql
set plan_cache_mode = force_generic_plan set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off
as $body$
declare
    v_incarnation bigint;
    v_lost smallint[];
begin
    -- Waits for whoever is just burying this process, and keeps the next one waiting until this has come true.
    update hub.writer set token = p_token, answer = null
        where process = p_process and incarnation = p_incarnation and incarnation >= 0;
    if not found then
        select incarnation into v_incarnation from hub.writer where process = p_process;
        raise exception 'fenced out' using errcode = 'PD001', detail = coalesce(v_incarnation, -1)::text;
    end if;
    if cardinality(p_partitions) > 0 then
        select array_agg(f.number) into v_lost from unnest(p_partitions, p_epochs) f(number, epoch)
            where not exists (
                select 1 from hub.partition p
                where p.number = f.number and p.owner = p_process and p.epoch = f.epoch
            );
        if v_lost is not null then
            raise exception 'partitions lost' using errcode = 'PD002', detail = array_to_json(v_lost)::text;
        end if;
    end if;
end $body$;

create function hub.write_1(
    p_process bigint, p_incarnation bigint, p_token bigint, p_partitions smallint[], p_epochs bigint[],
    p_purged text[], p_consumed bigint[], p_discarded bigint[], p_ended bigint[],
    p_emptied hub.place_1[], p_origins hub.origin_1[], p_progress hub.progress_1[], p_history hub.history_1[],
    p_finished hub.place_1[], p_activities hub.activity_1[],
    p_replaced text[], p_ended_only text[], p_instances hub.instance_1[],
    p_children hub.child_1[], p_messages hub.message_1[], out taken bigint[], out purged text[]
) language plpgsql
set plan_cache_mode = force_generic_plan set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off
as $body$
declare
    v_count bigint;
    v_numbers bigint[];
    v_partitions smallint[];
    v_ids text[];
    v_gone text[];
    v_made bigint[];
    v_xid bigint;
begin
    perform hub.fence_1(p_process, p_incarnation, p_token, p_partitions, p_epochs);
    if cardinality(p_purged) > 0 then
        -- What lies around an instance goes in statements of their own: the first may have waited for a commit whose
        -- rows it cannot see.
        with gone as (
            delete from hub.instance where id = any(p_purged) and kind = 0 and status in (1, 3, 4, 5)
            returning id, number, partition
        )
        select array_agg(id), array_agg(number), array_agg(partition) into purged, v_numbers, v_partitions from gone;
        if purged is not null then
            delete from hub.history where instance = any(v_numbers);
            delete from hub.activity a using unnest(v_numbers, v_partitions) g(number, partition)
                where a.partition = g.partition and a.instance = g.number;
            delete from hub.inbox m using unnest(purged, v_partitions) g(id, partition)
                where m.partition = g.partition and m.target = g.id;
            delete from hub.offer o using unnest(purged, v_partitions) g(id, partition)
                where o.partition = g.partition and o.instance_id = g.id;
        end if;
    end if;
    if cardinality(p_consumed) > 0 then
        delete from hub.inbox where position = any(p_consumed);
        get diagnostics v_count = row_count;
        if v_count <> cardinality(p_consumed) then
            raise exception '% messages are to be consumed, but % of them are in the inbox',
                cardinality(p_consumed), v_count using errcode = 'PD004';
        end if;
    end if;
    if cardinality(p_discarded) > 0 then
        delete from hub.inbox where position = any(p_discarded);
    end if;
    if cardinality(p_ended) > 0 then
        delete from hub.activity where number = any(p_ended);
        delete from hub.offer where number = any(p_ended);
    end if;
    if cardinality(p_emptied) > 0 then
        delete from hub.history h using unnest(p_emptied) e where h.instance = e.number;
        delete from hub.activity a using unnest(p_emptied) e where a.partition = e.partition and a.instance = e.number;
        delete from hub.offer o using unnest(p_emptied) e
            where o.partition = e.partition and o.instance_id = e.id and o.kind = 'activity';
        update hub.instance i set
            name = v.name, execution_id = v.execution_id, created_at = v.created_at, version = v.version,
            input = v.input, generation = v.generation, parent = v.parent, scheduled_start_at = v.scheduled_start_at,
            trace_context = v.trace_context, tags = v.tags, origin_crc = v.origin_crc, folded_name = v.folded_name
        from unnest(p_origins) v where i.number = v.number;
    end if;
    if cardinality(p_progress) > 0 then
        update hub.instance i set
            status = v.status, updated_at = v.updated_at, last_seq = v.last_seq, custom_status = v.custom_status,
            output = v.output, failure = v.failure, completed_at = v.completed_at, episode_at = v.episode_at,
            awaited_events = v.awaited_events, state = v.state, locked_by = v.locked_by, progress_crc = v.progress_crc
        from unnest(p_progress) v where i.number = v.number and i.last_seq = v.expected_seq;
        get diagnostics v_count = row_count;
        if v_count <> cardinality(p_progress) then
            raise exception '% of % instances have the expected last seq', v_count, cardinality(p_progress)
                using errcode = 'PD004';
        end if;
    end if;
    if cardinality(p_history) > 0 then
        insert into hub.history (instance, first_seq, count, format, events, crc) select * from unnest(p_history);
    end if;
    if cardinality(p_finished) > 0 then
        delete from hub.inbox m using unnest(p_finished) f where m.partition = f.partition and m.target = f.id;
        delete from hub.activity a using unnest(p_finished) f
            where a.partition = f.partition and a.instance = f.number;
        delete from hub.offer o using unnest(p_finished) f
            where o.partition = f.partition and o.instance_id = f.id and o.kind = 'activity';
    end if;
    if cardinality(p_activities) > 0 then
        insert into hub.activity (
            number, instance, execution_id, seq, task_id, name, input, crc, version, tags, trace_context, partition
        ) select * from unnest(p_activities);
    end if;
    if cardinality(p_replaced) > 0 then
        with gone as (
            delete from hub.instance
            where id = any(p_replaced) and (status in (1, 3, 4, 5) or id <> all(p_ended_only))
            returning id, number, partition
        )
        select array_agg(id), array_agg(number), array_agg(partition) into v_gone, v_numbers, v_partitions from gone;
        select array_agg(i.id) into v_ids from hub.instance i where i.id = any(p_ended_only);
        if v_ids is not null then
            raise exception 'ids taken' using errcode = 'PD003', detail = array_to_json(v_ids)::text;
        end if;
        if v_gone is not null then
            delete from hub.history where instance = any(v_numbers);
            delete from hub.activity a using unnest(v_numbers, v_partitions) g(number, partition)
                where a.partition = g.partition and a.instance = g.number;
            delete from hub.offer o using unnest(v_gone, v_partitions) g(id, partition)
                where o.partition = g.partition and o.instance_id = g.id and o.kind = 'activity';
        end if;
    end if;
    if cardinality(p_instances) > 0 then
        -- In the order of the ids, so that two processes wait for each other one way only.
        with made as (
            insert into hub.instance select v.* from unnest(p_instances) v order by v.id
            on conflict (id) do nothing returning number
        )
        select array_agg(v.id) into v_ids from unnest(p_instances) v where v.number not in (select number from made);
        if v_ids is not null then
            raise exception 'ids taken' using errcode = 'PD003', detail = array_to_json(v_ids)::text;
        end if;
    end if;
    if cardinality(p_children) > 0 then
        with gone as (
            delete from hub.instance i using unnest(p_children) c
            where i.id = (c.instance).id and not c.keeps_finished and i.status in (1, 3, 4, 5)
            returning i.id, i.number, i.partition
        )
        select array_agg(id), array_agg(number), array_agg(partition) into v_gone, v_numbers, v_partitions from gone;
        if v_gone is not null then
            delete from hub.history where instance = any(v_numbers);
            delete from hub.activity a using unnest(v_numbers, v_partitions) g(number, partition)
                where a.partition = g.partition and a.instance = g.number;
            delete from hub.offer o using unnest(v_gone, v_partitions) g(id, partition)
                where o.partition = g.partition and o.instance_id = g.id and o.kind = 'activity';
        end if;
        with made as (
            insert into hub.instance select (c.instance).* from unnest(p_children) c order by (c.instance).id
            on conflict (id) do nothing returning number
        )
        select coalesce(array_agg(number), '{}') into v_made from made;
        select array_agg((c.start).position) into taken from unnest(p_children) c
            where (c.instance).number <> all(v_made);
        v_xid := pg_current_xact_id()::text::bigint;
        insert into hub.inbox (position, target, due_at, format, message, crc, partition, xid)
            select m.position, m.target, m.due_at, m.format, m.message, m.crc, m.partition,
                case when m.is_arrival then v_xid end
            from (
                select * from unnest(p_messages)
                union all
                select (c.start).* from unnest(p_children) c where (c.instance).number = any(v_made)
                union all
                select (c.if_taken).* from unnest(p_children) c
                    where (c.instance).number <> all(v_made) and (c.if_taken).position is not null
            ) m order by m.position;
    elsif cardinality(p_messages) > 0 then
        v_xid := pg_current_xact_id()::text::bigint;
        insert into hub.inbox (position, target, due_at, format, message, crc, partition, xid)
            select m.position, m.target, m.due_at, m.format, m.message, m.crc, m.partition,
                case when m.is_arrival then v_xid end
            from unnest(p_messages) m order by m.position;
    end if;
    if taken is not null or purged is not null then
        update hub.writer set answer = json_build_object('taken', taken, 'purged', purged)::text
            where process = p_process;
    end if;
end $body$;
