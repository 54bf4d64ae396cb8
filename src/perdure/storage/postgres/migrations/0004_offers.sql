-- Work that any process may do, and errands for the holder of a partition.

create type hub.offer_1 as (
    number bigint, kind text, name text, version text, instance_id text, partition smallint, body text
);

create function hub.offer_1(
    p_process bigint, p_incarnation bigint, p_token bigint, p_partitions smallint[], p_epochs bigint[],
    p_offers hub.offer_1[]
) returns void language plpgsql as $body$
begin
    perform hub.fence_1(p_process, p_incarnation, p_token, p_partitions, p_epochs);
    insert into hub.offer (number, kind, name, version, instance_id, partition, body)
        select o.* from unnest(p_offers) o
        where o.kind <> 'activity' or exists (select 1 from hub.activity a where a.number = o.number)
        on conflict (number) do nothing;
end $body$;

create function hub.claim_offers_1(
    p_process bigint, p_incarnation bigint, p_token bigint, p_kinds text[], p_names text[], p_versions text[],
    p_limit integer
) returns setof hub.offer_1 language plpgsql as $body$
begin
    perform hub.fence_1(p_process, p_incarnation, p_token, '{}', '{}');
    -- A second try after a lost answer finds what the first one took.
    if not exists (select 1 from hub.offer where claimed_by = p_process and token = p_token) then
        update hub.offer o set claimed_by = p_process, token = p_token
            where o.number = any(array(
                select f.number from hub.offer f
                where f.claimed_by is null and f.answer is null and (f.kind, f.name, coalesce(f.version, '')) in (
                    select k.kind, k.name, k.version from unnest(p_kinds, p_names, p_versions) k(kind, name, version)
                )
                order by f.placed limit p_limit for update skip locked
            ));
    end if;
    return query select o.number, o.kind::text, o.name::text, o.version, o.instance_id::text, o.partition, o.body
        from hub.offer o where o.claimed_by = p_process and o.token = p_token order by o.placed;
end $body$;

-- Answers are kept for the owner. Activities end, and their messages, in the same order, go to their instances.
create function hub.finish_offers_1(
    p_process bigint, p_incarnation bigint, p_token bigint, p_answered bigint[], p_answered_claims bigint[],
    p_answers text[], p_ended bigint[], p_ended_claims bigint[], p_messages hub.message_1[]
) returns bigint[] language plpgsql as $body$
declare
    v_answered bigint[] := '{}';
    v_ended bigint[] := '{}';
begin
    perform hub.fence_1(p_process, p_incarnation, p_token, '{}', '{}');
    if cardinality(p_answered) > 0 then
        with up as (
            update hub.offer o set answer = a.answer, claimed_by = null, token = null
            from unnest(p_answered, p_answered_claims, p_answers) a(number, claim, answer)
            where o.number = a.number and o.claimed_by = p_process and o.token = a.claim returning o.number
        )
        select coalesce(array_agg(number), '{}') into v_answered from up;
    end if;
    if cardinality(p_ended) > 0 then
        with gone as (
            delete from hub.offer o using unnest(p_ended, p_ended_claims) e(number, claim)
            where o.number = e.number and o.claimed_by = p_process and o.token = e.claim returning o.number
        ), ended as (
            delete from hub.activity a using gone where a.number = gone.number returning a.number
        )
        select coalesce(array_agg(number), '{}') into v_ended from ended;
        insert into hub.inbox (position, target, due_at, format, message, crc, partition, xid)
            select m.position, m.target, m.due_at, m.format, m.message, m.crc, m.partition,
                pg_current_xact_id()::text::bigint
            from unnest(p_messages) m
            where m.position in (
                select (p_messages[e.place::integer]).position from unnest(p_ended) with ordinality e(number, place)
                where e.number = any(v_ended)
            )
            order by m.position;
    end if;
    update hub.writer set answer = array_to_json(v_answered || v_ended)::text where process = p_process;
    return v_answered || v_ended;
end $body$;

create function hub.withdraw_1(
    p_process bigint, p_incarnation bigint, p_token bigint, p_partitions smallint[], p_epochs bigint[],
    p_numbers bigint[]
) returns bigint[] language plpgsql as $body$
declare
    v_back bigint[];
begin
    perform hub.fence_1(p_process, p_incarnation, p_token, p_partitions, p_epochs);
    with back as (
        delete from hub.offer where number = any(p_numbers) and claimed_by is null and partition = any(p_partitions)
        returning number
    )
    select coalesce(array_agg(number), '{}') into v_back from back;
    update hub.writer set answer = array_to_json(v_back)::text where process = p_process;
    return v_back;
end $body$;
