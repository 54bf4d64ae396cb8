"""Hypercorn for Restate: as many streams and requests on one connection as it likes."""

h2_max_concurrent_streams = 2**31 - 1
keep_alive_max_requests = 2**31 - 1
keep_alive_timeout = 2**31 - 1
loglevel = "ERROR"
