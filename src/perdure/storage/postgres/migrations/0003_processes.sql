-- Who is there, and who holds what. What others do to a process's rows goes by its row in *writer* first; the locks are
-- always taken in the order process, writer, partition, offer.

create function hub.announce_1(p_name text, p_lease interval) returns bigint language plpgsql as $body$
declare
    v_number bigint;
begin
    delete from hub.writer where buried_at < now() - interval '1 day';
    insert into hub.process (name, expires_at) values (p_name, clock_timestamp() + p_lease)
        returning number into v_number;
    insert into hub.writer (process) values (v_number);
    return v_number;
end $body$;

create function hub.renew_1(
    p_process bigint, p_lease interval, p_runs boolean,
    out at timestamptz, out process_numbers bigint[], out process_names text[], out alive boolean[], out runs boolean[],
    out partitions smallint[], out epochs bigint[], out owners bigint[],
    out has_arrivals boolean, out has_offers boolean, out has_errands boolean
) language plpgsql set enable_seqscan = off as $body$
begin
    update hub.process p set expires_at = clock_timestamp() + p_lease, runs = p_runs where p.number = p_process;
    if not found then
        return;
    end if;
    at := clock_timestamp();
    select array_agg(p.number order by p.number), array_agg(p.name order by p.number),
            array_agg(p.expires_at > at order by p.number), array_agg(p.runs order by p.number)
        into process_numbers, process_names, alive, runs from hub.process p;
    select array_agg(p.number order by p.number), array_agg(p.epoch order by p.number),
            array_agg(p.owner order by p.number)
        into partitions, epochs, owners from hub.partition p;
    has_arrivals := exists (
        select 1 from hub.inbox m join hub.partition p on p.number = m.partition
        where p.owner = p_process and m.xid is not null
    );
    has_offers := exists (select 1 from hub.offer where claimed_by is null and answer is null)
        or exists (
            select 1 from hub.offer o join hub.partition p on p.number = o.partition
            where p.owner = p_process and o.answer is not null
        );
    has_errands := exists (
        select 1 from hub.errand e left join hub.partition p on p.number = e.partition
        where case when e.answer is null then p.owner = p_process else e.asker = p_process end
    );
end $body$;

create function hub.bury_1(p_process bigint, p_only_expired boolean) returns boolean language plpgsql as $body$
begin
    -- From here on it cannot renew, and in what follows a commit of it under way is waited for.
    perform 1 from hub.process where number = p_process and (not p_only_expired or expires_at < clock_timestamp())
        for update;
    if not found then
        return false;
    end if;
    update hub.writer set incarnation = -1, buried_at = now() where process = p_process;
    update hub.partition set owner = null where owner = p_process;
    update hub.offer set claimed_by = null, token = null where claimed_by = p_process;
    delete from hub.process where number = p_process;
    delete from hub.errand where asker not in (select number from hub.process);
    return true;
end $body$;

-- The answer that was lost: whether the transaction of this token came true. If it has not, it never will.
create function hub.resolve_1(p_process bigint, out incarnation bigint, out token bigint, out answer text)
language plpgsql as $body$
begin
    update hub.writer w set incarnation = case when w.incarnation < 0 then w.incarnation else w.incarnation + 1 end
        where w.process = p_process
        returning w.incarnation, w.token, w.answer into incarnation, token, answer;
end $body$;

create function hub.claim_1(
    p_process bigint, p_incarnation bigint, p_token bigint, p_partitions smallint[], out partitions smallint[],
    out epochs bigint[]
) language plpgsql as $body$
begin
    perform hub.fence_1(p_process, p_incarnation, p_token, '{}', '{}');
    -- The claim's token lets a second try after a lost answer find what the first one took.
    update hub.partition p set owner = p_process, epoch = p.epoch + 1, claim = p_token
        where p.number = any(array(
            select f.number from hub.partition f where f.number = any(p_partitions) and f.owner is null
            order by f.number for update skip locked
        ));
    select array_agg(p.number), array_agg(p.epoch) into partitions, epochs from hub.partition p
        where p.owner = p_process and p.claim = p_token;
    -- Turns that were offered were the former holder's; activities are the instance's.
    delete from hub.offer o where o.partition = any(partitions) and o.kind <> 'activity';
end $body$;

create function hub.give_back_1(
    p_process bigint, p_incarnation bigint, p_token bigint, p_partitions smallint[], p_epochs bigint[]
) returns void language plpgsql as $body$
begin
    perform hub.fence_1(p_process, p_incarnation, p_token, '{}', '{}');
    update hub.partition p set owner = null from unnest(p_partitions, p_epochs) g(number, epoch)
        where p.number = g.number and p.epoch = g.epoch and p.owner = p_process;
end $body$;
