"""Use cases: load, decide, commit, publish. The only layer that orders these steps.

HTTP calls it; it calls `domain`, `storage` and `media`, and knows no status code and no SQL.
"""
