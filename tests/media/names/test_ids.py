import pytest

from playhead.media.names.ids import external_id, take_ids


@pytest.mark.parametrize(
    ("source", "value", "stored"),
    [
        ("tmdb", "603", ("tmdb", "603")),
        ("TMDB", " 0603 ", ("tmdb", "603")),
        ("imdb", "tt0133093", ("imdb", "tt0133093")),
        ("imdb", "133093", ("imdb", "tt0133093")),
        ("imdb", "TT12345678", ("imdb", "tt12345678")),
        ("tmdb", "tt0133093", ("imdb", "tt0133093")),
        ("tvdb", "81189", ("tvdb", "81189")),
        ("tvdb", "0", None),
        ("tvdb", "-1", None),
        ("tvdb", "٣", None),
        ("imdb", "tt", None),
        ("imdb", "tt" + "1" * 5000, None),
        ("tmdb", "", None),
        ("myspace", "603", None),
    ],
)
def test_an_external_id_has_one_stored_form(source: str, value: str, stored: tuple[str, str] | None):
    assert external_id(source, value) == stored


@pytest.mark.parametrize(
    "tag",
    [
        "{tmdb-603}",
        "[tmdbid-603]",
        "[tmdbid=603]",
        "{tmdb:603}",
        "(tmdb-603)",
        "[TMDB-603]",
        "[tmdb 603]",
        "{tmdb_id-603}",
    ],
)
def test_every_server_s_spelling_of_a_tag_is_taken_out_of_the_name(tag: str):
    assert take_ids(f"The Matrix (1999) {tag} - 1080p") == ("The Matrix (1999) - 1080p", {"tmdb": "603"})


def test_a_name_without_tags_stays_as_it_is():
    assert take_ids("The  Matrix [1080p] {tmdb}") == ("The  Matrix [1080p] {tmdb}", {})


def test_the_first_of_two_ids_of_one_source_counts():
    assert take_ids("The Matrix {tmdb-603} {tmdb-604}") == ("The Matrix", {"tmdb": "603"})
