"""Teaches schemathesis the one media type of ours that it does not know: a line of JSON an item."""

import json

import schemathesis


@schemathesis.serializer("application/x-ndjson")
def one_line(context: schemathesis.SerializationContext, value: object) -> bytes:
    del context
    return json.dumps(value).encode()
