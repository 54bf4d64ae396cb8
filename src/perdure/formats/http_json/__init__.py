"""The Durable HTTP API's picture of instances, history, entities and links (http-api.md): pure, both ways."""

from perdure.formats.http_json.bodies import (
    cleaned_body,
    encode,
    entity_row,
    error_body,
    long_error_body,
    purge_body,
    status_body,
    waiting_rows,
)
from perdure.formats.http_json.history import history_rows
from perdure.formats.http_json.links import LinkTerms, client_binding, creation_links, management_links
from perdure.formats.http_json.payloads import InvalidJson, inner_text, json_text, plain_value, raw_value
from perdure.formats.http_json.queries import InvalidQuery, QueryParameters
from perdure.formats.http_json.tokens import read_token, write_token

__all__ = [
    "InvalidJson",
    "InvalidQuery",
    "LinkTerms",
    "QueryParameters",
    "cleaned_body",
    "client_binding",
    "creation_links",
    "encode",
    "entity_row",
    "error_body",
    "history_rows",
    "inner_text",
    "json_text",
    "long_error_body",
    "management_links",
    "plain_value",
    "purge_body",
    "raw_value",
    "read_token",
    "status_body",
    "waiting_rows",
    "write_token",
]
