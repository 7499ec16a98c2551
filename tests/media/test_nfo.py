from datetime import date

import pytest

from playhead.media.nfo import Nfo, read_nfo

MOVIE = """<?xml version="1.0" encoding="UTF-8" standalone="yes"?>
<movie>
  <title>The Matrix</title>
  <year>1999</year>
  <set><name>The Matrix Collection</name></set>
  <uniqueid type="imdb">tt0133093</uniqueid>
  <uniqueid type="tmdb" default="true">603</uniqueid>
  <actor><name>Keanu Reeves</name></actor>
</movie>
"""


def test_a_movie_s_nfo_gives_its_ids_title_and_year():
    ids = {"imdb": "tt0133093", "tmdb": "603"}
    assert read_nfo(MOVIE) == Nfo(external_ids=ids, title="The Matrix", year=1999)


def test_a_show_s_nfo_gives_its_year_by_its_premiere():
    nfo = read_nfo(
        "<tvshow><title>Breaking Bad</title><premiered>2008-01-20</premiered><tvdbid>81189</tvdbid></tvshow>"
    )
    assert nfo == Nfo({"tvdb": "81189"}, "Breaking Bad", year=2008, air_date=date(2008, 1, 20))


def test_of_an_nfo_with_two_episodes_the_first_counts():
    start, end = (
        "<episodedetails><title>Pilot</title><showtitle>Lost</showtitle><season>1</season>",
        "</episodedetails>",
    )
    nfo = read_nfo(f"{start}<episode>1</episode>{end}\n{start}<episode>2</episode>{end}")
    assert nfo == Nfo(title="Pilot", show_title="Lost", season_number=1, episode_number=1)


@pytest.mark.parametrize(
    ("element", "ids"),
    [
        ("<tmdbid>603</tmdbid>", {"tmdb": "603"}),
        ("<imdbid>tt0133093</imdbid>", {"imdb": "tt0133093"}),
        ("<imdb_id>tt0133093</imdb_id>", {"imdb": "tt0133093"}),
        ("<id>tt0133093</id>", {"imdb": "tt0133093"}),
        ("<id>603</id>", {}),
        ("<uniqueid>603</uniqueid>", {}),
        ('<uniqueid type="tmdb">603</uniqueid><tmdbid>604</tmdbid>', {"tmdb": "603"}),
        ('<uniqueid type="tmdb">junk</uniqueid><tmdbid>604</tmdbid>', {"tmdb": "604"}),
        ("<trailer>https://www.imdb.com/title/tt9999999/</trailer>", {}),
    ],
)
def test_every_program_s_spelling_of_an_id_is_read(element: str, ids: dict[str, str]):
    assert read_nfo(f"<movie>{element}</movie>").external_ids == ids


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("https://www.imdb.com/title/tt0133093/", {"imdb": "tt0133093"}),
        ("http://www.imdb.com/de/title/tt0133093", {"imdb": "tt0133093"}),
        ("https://www.themoviedb.org/movie/603-the-matrix", {"tmdb": "603"}),
        ("https://www.themoviedb.org/tv/1396", {"tmdb": "1396"}),
        ("https://thetvdb.com/?tab=series&id=81189", {"tvdb": "81189"}),
        ("https://www.thetvdb.com/dereferrer/series/81189", {"tvdb": "81189"}),
        ("░▒▓ GRP presents ▓▒░ imdb: https://www.imdb.com/title/tt0133093/", {"imdb": "tt0133093"}),
        ("<movie><title>The Matrix</title></movie>\nhttps://www.imdb.com/title/tt0133093/", {"imdb": "tt0133093"}),
        ("nothing to see", {}),
    ],
)
def test_a_link_in_plain_text_names_the_item(text: str, ids: dict[str, str]):
    assert read_nfo(text).external_ids == ids


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\0\0\0",
        "\ud800",
        "<movie>",
        "<movie>\ud800</movie>",
        "<movie><title>Tom & Jerry</title></movie>",
        "<movie></tvshow>",
        "<movie>" + "<a>" * 200_000 + "</movie>",
        "<movie>" + "x" * 1_000_000 + "</movie>",
        "<movie><year>" + "9" * 5000 + "</year><season>-1</season><premiered>yesterday</premiered></movie>",
        '<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><movie><title>&b;</title></movie>',
        '<!doctype x SYSTEM "file:///etc/passwd"><movie><tmdbid>603</tmdbid></movie>',
        "thetvdb.com/" * 80_000,
        "<!" * 400_000,
        "<movie>" * 100_000,
        "<html><title>Not found</title></html>",
    ],
)
def test_junk_and_hostile_text_say_nothing(text: str):
    assert read_nfo(text) == Nfo()


def test_a_deep_tree_is_no_danger():
    assert read_nfo("<movie><title>Deep</title>" + "<a>" * 19_000 + "</a>" * 19_000 + "</movie>").title == "Deep"


def test_titles_are_cut_and_clean():
    assert read_nfo(f"<movie><title>{'x' * 900_000}</title></movie>").title == "x" * 500
    nfo = read_nfo("<episodedetails><title> two&#10;\u202elines </title><showtitle>a\x85b</showtitle></episodedetails>")
    assert (nfo.title, nfo.show_title) == ("two lines", "a b")


def test_a_control_character_in_a_plot_does_not_lose_the_rest():
    nfo = read_nfo("<movie><title>Copper Lane</title><plot>one\x0btwo\x1b</plot><tmdbid>778</tmdbid></movie>")
    assert nfo == Nfo(external_ids={"tmdb": "778"}, title="Copper Lane")


@pytest.mark.parametrize("markup", ["<a/>" * 50_000, "<a " + " ".join(f"b{n}=''" for n in range(50_000)) + "/>"])
def test_an_nfo_of_markup_alone_is_not_read(markup: str):
    assert read_nfo(f"<movie><title>Heat</title>{markup}</movie>") == Nfo()
