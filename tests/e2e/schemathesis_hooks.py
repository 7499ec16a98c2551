"""Registers our media type with schemathesis: one JSON object per line."""

import json

import schemathesis


@schemathesis.serializer("application/x-ndjson")
def one_line(context: schemathesis.SerializationContext, value: object) -> bytes:
    del context
    return json.dumps(value).encode()
