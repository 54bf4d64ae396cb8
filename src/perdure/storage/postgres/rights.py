"""Whether our user may do to a hub's tables what a host does, asked before anything is done."""

import asyncpg

from perdure.contracts.errors import StoreUnusable
from perdure.storage.options import Access
from perdure.storage.postgres.schema import Schema

_READ = "select"
_NEEDED = {
    "setting": "select",
    "process": "select insert update delete",
    "writer": "select insert update delete",
    "partition": "select update",
    "instance": "select insert update delete",
    "history": "select insert delete",
    "inbox": "select insert update delete",
    "activity": "select insert delete",
    "offer": "select insert update delete",
    "errand": "select insert update delete",
    "note": "select insert update delete",
    "arrival": "usage",
    "number_block": "usage",
}
"""Table or sequence → what a host does with it."""
_LACKING = """
select current_user as who, string_agg(concat(f.name, ' (', f.lacking, ')'), ', ' order by f.place) as lacking from (
    select n.name, n.place, string_agg(r.word, ', ' order by r.place) as lacking
    from unnest($2::text[], $3::text[]) with ordinality n(name, words, place)
    join pg_class c on c.relname = n.name and c.relnamespace = to_regnamespace($1)
    cross join unnest(string_to_array(n.words, ' ')) with ordinality r(word, place)
    where case c.relkind when 'S' then not has_sequence_privilege(c.oid, r.word)
        else not has_table_privilege(c.oid, r.word) end
    group by n.name, n.place
) f
"""


async def check_rights(connection: asyncpg.Connection, schema: Schema, place: str, access: Access) -> None:
    """Raise StoreUnusable, naming each right that is lacking and how to give it."""
    needed = _NEEDED if access is not Access.READ_ONLY else {n: _READ for n, w in _NEEDED.items() if _READ in w}
    found = await connection.fetchrow(_LACKING, f'"{schema.name}"', list(needed), list(needed.values()))
    if found is None or found["lacking"] is None:
        return
    raise StoreUnusable(
        f"The user '{found['who']}' lacks rights in the hub at {place}: {found['lacking']}. "
        f'Let the schema\'s owner run: grant usage on schema "{schema.name}" to "{found["who"]}"; '
        f'grant all on all tables in schema "{schema.name}" to "{found["who"]}"; '
        f'grant all on all sequences in schema "{schema.name}" to "{found["who"]}".'
    )
