"""The demo installation: its films and pictures, its two users, and what `playhead serve --demo` prints.

Only the server uses it.
"""
