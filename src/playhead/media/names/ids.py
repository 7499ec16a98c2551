"""External ids as Plex, Jellyfin, Emby and Kodi write them into names and files: reads text, looks nothing up."""

import re

_SOURCES = ("tmdb", "imdb", "tvdb", "anidb", "tvmaze")
_NUMBER = re.compile(r"[0-9]{1,10}")
_IMDB = re.compile(r"(?:tt)?([0-9]{5,10})", re.IGNORECASE)
_IMDB_DIGITS = 7

# {tmdb-603}, [tmdbid-603], [tmdbid=603], (tvdb:81189), {imdb-tt0133093}, [imdbid tt0133093], and [tt0133093] alone.
_TAG = re.compile(
    r"""[\[({]\s*
        (?:(?P<source>tmdb|imdb|tvdb|anidb|tvmaze)(?:[ _]?id)?\s*[-=:_ ]\s*(?P<value>[\w-]+)
          |(?P<bare>tt[0-9]{7,10}))
        \s*[\])}]""",
    re.IGNORECASE | re.VERBOSE,
)


def external_id(source: str, value: str) -> tuple[str, str] | None:
    """Return source and value in the form that is stored, or None where either is unknown or malformed.

    Sources are lower case. IMDb's values have their `tt` and at least seven digits, the others are whole numbers.
    A value that begins with `tt` is IMDb's, whatever it was called.
    """
    source, value = source.strip().lower(), value.strip()
    if source not in _SOURCES:
        return None
    if source == "imdb" or value.lower().startswith("tt"):
        match = _IMDB.fullmatch(value)
        return ("imdb", f"tt{match[1].zfill(_IMDB_DIGITS)}") if match else None
    if not _NUMBER.fullmatch(value) or not int(value):
        return None
    return source, str(int(value))


def take_ids(name: str) -> tuple[str, dict[str, str]]:
    """Return the name without its id tags, and the ids. A tag with a malformed value goes, and says nothing."""
    ids: dict[str, str] = {}
    for tag in _TAG.finditer(name):
        known = external_id(tag["source"] or "imdb", tag["value"] or tag["bare"])
        if known is not None:
            ids.setdefault(*known)
    return " ".join(_TAG.sub(" ", name).split()) if ids or _TAG.search(name) else name, ids
