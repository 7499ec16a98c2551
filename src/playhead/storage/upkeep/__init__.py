"""Work on whole databases: checking, online copies, inspection from outside, moving between engines.

Used by commands and the doctor, never by a request.
"""
