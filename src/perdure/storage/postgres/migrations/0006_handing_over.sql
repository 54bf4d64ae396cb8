-- Activities that go on where they run while their partition goes to another process: offers that are claimed from the
-- start. The text is the claim's token, then the numbers of those that are up by it.

create function hub.offer_claimed_1(
    p_process bigint, p_incarnation bigint, p_token bigint, p_partitions smallint[], p_epochs bigint[],
    p_offers hub.offer_1[]
) returns text language plpgsql as $body$
declare
    v_new bigint[];
begin
    perform hub.fence_1(p_process, p_incarnation, p_token, p_partitions, p_epochs);
    with new as (
        insert into hub.offer (number, kind, name, version, instance_id, partition, body, claimed_by, token)
            select o.*, p_process, p_token from unnest(p_offers) o
            where exists (select 1 from hub.activity a where a.number = o.number)
            on conflict (number) do nothing
            returning number
    )
    select array_agg(number) into v_new from new;
    update hub.writer set answer = array_to_json(p_token || coalesce(v_new, '{}'))::text where process = p_process;
    return array_to_json(p_token || coalesce(v_new, '{}'))::text;
end $body$;
