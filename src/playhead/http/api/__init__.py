"""The JSON API, one module for each resource: request and answer types, and endpoints that call a service.

`formats` holds what they share. `routes.py` is the only caller.
"""
