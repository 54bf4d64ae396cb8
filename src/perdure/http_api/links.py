"""Management URLs in answers: built on the origin that the caller used."""

import re

from perdure.formats.http_json import LinkTerms, management_links
from perdure.http_api.answers import Answer, json_answer
from perdure.http_api.options import ManagementOptions
from perdure.http_api.requests import Request

PREFIX = "/runtime/webhooks/durabletask"
CHECK_AGAIN_SECONDS = "10"
_FORWARDED_PART = re.compile(r'\s*(proto|host)\s*=\s*(?:"([^"]*)"|([^;,\s]*))', re.IGNORECASE)


def origin_of(request: Request, options: ManagementOptions) -> str:
    """Scheme and host of the request; of the first proxy's request when the app trusts forwarded headers."""
    if options.origin is not None:
        return options.origin
    scheme, host = request.scheme, request.header(b"host") or "localhost"
    if options.use_forwarded_host:
        scheme, host = _forwarded(request) or (scheme, host)
    return f"{scheme}://{host}"


def _forwarded(request: Request) -> tuple[str, str] | None:
    first = (request.header(b"forwarded") or "").partition(",")[0]
    parts = {name.lower(): quoted or plain for name, quoted, plain in _FORWARDED_PART.findall(first)}
    host = parts.get("host")
    if host:
        return parts.get("proto") or request.scheme, host
    host = (request.header(b"x-forwarded-host") or "").partition(",")[0].strip()
    proto = (request.header(b"x-forwarded-proto") or "").partition(",")[0].strip()
    return (proto or request.scheme, host or request.header(b"host") or "localhost") if host or proto else None


def link_terms(request: Request, options: ManagementOptions) -> LinkTerms:
    """What the links of an answer to this request share."""
    return LinkTerms(origin_of(request, options) + PREFIX, options.task_hub, options.connection_name, options.code)


def check_status_answer(
    request: Request, options: ManagementOptions, instance_id: str, *, failure_as_500: bool = False
) -> Answer:
    """202 with the management payload (http-api.md §5.4)."""
    links = management_links(link_terms(request, options), instance_id, failure_as_500=failure_as_500)
    headers = (("location", links["statusQueryGetUri"]), ("retry-after", CHECK_AGAIN_SECONDS))
    return json_answer(202, links, headers)
