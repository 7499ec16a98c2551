"""The OpenAPI document: complete, valid, and in agreement with the answers of the routes."""

import re

import jsonschema_rs
import pytest

from world import MOVIE, World

pytestmark = pytest.mark.anyio


async def test_it_describes_every_route_of_the_api(stocked: World):
    document = (await stocked.client.get("/api/openapi.json")).json()
    described = {(method.upper(), path) for path, item in document["paths"].items() for method in item}
    assert described == {(route.method, route.path) for route in stocked.playhead.table if route.documented}
    assert document["openapi"].startswith("3.1")


async def test_every_reference_leads_to_a_valid_schema(stocked: World):
    response = await stocked.client.get("/api/openapi.json")
    schemas = response.json()["components"]["schemas"]
    assert set(re.findall(r'"#/components/schemas/(\w+)"', response.text)) == set(schemas)
    for schema in schemas.values():
        jsonschema_rs.meta.validate(schema | {"$schema": "https://json-schema.org/draft/2020-12/schema"})


async def test_the_answer_to_a_save_matches_its_schema(stocked: World):
    document = (await stocked.client.get("/api/openapi.json")).json()
    schema = {"$ref": "#/components/schemas/ProgressAnswer", "components": document["components"]}
    report = {"position_seconds": 1250, "duration_seconds": 5400}
    url = f"/api/v1/playback/movie/{MOVIE}"
    for response in (
        await stocked.client.get(url, headers=stocked.member),
        await stocked.client.post(url, json=report, headers=stocked.member),
    ):
        jsonschema_rs.validate(schema, response.json())


async def test_every_operation_has_a_unique_id(stocked: World):
    document = (await stocked.client.get("/api/openapi.json")).json()
    ids = [operation["operationId"] for item in document["paths"].values() for operation in item.values()]
    assert len(ids) == len(set(ids))
