"""The database engines behind one interface, `database.Database`, and the group commit.

Only `database` and `group_commit` may be used outside of storage; nothing here knows a table of ours.
"""
