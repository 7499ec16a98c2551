"""The HTTP framework: the route table, dispatch, authentication, bodies, errors, metrics, OpenAPI.

Resources are in `api/`, pages in `pages/`. Imports services and domain, never storage or media.
"""
