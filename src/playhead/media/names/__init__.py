"""What a file's name says: title, year, season and episode numbers, release tags, external ids.

Use `filenames.parse`; the other modules are its parts.
"""
