"""What stands between us and the server, found out by asking."""

import asyncpg

from perdure.storage.postgres.address import Pooler

_SESSION = "select pg_backend_pid()"
_MIXED = (asyncpg.InvalidSQLStatementNameError, asyncpg.DuplicatePreparedStatementError)
"""A statement that was prepared is not there, or somebody else's is."""
_ASKED_MAX = 4


async def pooler_between(first: asyncpg.Connection, second: asyncpg.Connection) -> Pooler:
    """By the sessions in which two new connections find themselves.

    A session's own number is told twice: in the server's greeting, which a pooler makes up, and in an answer. Where a
    pooler stands, transactions that are not kept in one session show it soon: two connections meet in one, or one
    is in two. They are asked in turns that no round robin follows.
    """
    both = first, second
    try:
        found = [{await connection.fetchval(_SESSION)} for connection in both]
        told = [{connection.get_server_pid()} for connection in both]
        if found == told and found[0] != found[1]:
            return Pooler.NONE
        for turn in range(_ASKED_MAX):
            for each in (1, 0) if turn % 2 == 0 else (0, 1):
                found[each].add(await both[each].fetchval(_SESSION))
                if len(found[0]) > 1 or len(found[1]) > 1 or found[0] == found[1]:
                    return Pooler.TRANSACTION
    except _MIXED:
        return Pooler.TRANSACTION
    return Pooler.SESSION
