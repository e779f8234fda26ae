"""The page of an HTTP response: its body without transfer and content codings, and the header that describes the page.

A body may begin with a second header, before or after its codings are undone: a proxy wrote "200 Connection
established" before the server's own response, or a crawler stored the header twice.
"""

from __future__ import annotations

from nemotron_assets.warc.http_body import decode_body
from nemotron_assets.warc.http_head import Head, second_head

#: Steps (a second header, codings) after which a body is taken as it is.
_MAX_STEPS = 6


def decoded_response(head: Head, body: bytes, limit: int) -> tuple[Head, bytes]:
    """(the last header, the body behind it without its codings). The body is the same object if nothing was undone.

    Raises as `decode_body` does.
    """
    decoded = False
    for _ in range(_MAX_STEPS):
        if found := second_head(body, head):
            head, at = found
            body, decoded = body[at:], False
        elif not decoded and (head.get("content-encoding") or head.get("transfer-encoding")):
            body = decode_body(body, head.get("transfer-encoding"), head.get("content-encoding"), limit)
            decoded = True
        else:
            break
    return head, body
