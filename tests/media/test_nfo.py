from datetime import date

import pytest

from playhead.domain.catalogue import EpisodePlace
from playhead.domain.scanning import EpisodeFacts
from playhead.media.nfo import Nfo, decode_nfo, read_nfo

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


def test_a_movies_nfo_gives_its_ids_title_and_year():
    ids = {"imdb": "tt0133093", "tmdb": "603"}
    assert read_nfo(MOVIE) == Nfo(external_ids=ids, title="The Matrix", year=1999)


def test_a_shows_nfo_gives_its_year_by_its_premiere():
    nfo = read_nfo(
        "<tvshow><title>Breaking Bad</title><premiered>2008-01-20</premiered><tvdbid>81189</tvdbid></tvshow>"
    )
    assert nfo == Nfo({"tvdb": "81189"}, "Breaking Bad", year=2008, air_date=date(2008, 1, 20))


def episode(number: int, title: str, season: int = 1, more: str = "") -> str:
    numbers = f"<season>{season}</season><episode>{number}</episode>"
    return f"<episodedetails><title>{title}</title>{numbers}{more}</episodedetails>\n"


def test_an_nfo_with_two_episodes_has_the_facts_of_both():
    nfo = read_nfo(episode(1, "Ebb") + episode(2, "Flow", more="<uniqueid type='tvdb'>12</uniqueid>"))
    assert (nfo.title, nfo.season_number, nfo.episode_number, nfo.episode_end) == ("Ebb", 1, 1, 2)
    assert nfo.further == {2: EpisodeFacts("Flow", {"tvdb": "12"})}


def test_episodes_of_an_nfo_may_have_a_declaration_each_and_a_root_around_them():
    head = '<?xml version="1.0" encoding="UTF-8"?>\n'
    for text in (head + episode(4, "a") + head + episode(5, "b"), f"<multi>{episode(4, 'a')}{episode(5, 'b')}</multi>"):
        nfo = read_nfo(text)
        assert (nfo.episode_number, nfo.episode_end, nfo.further[5].title) == (4, 5, "b")


def test_episodes_behind_a_gap_or_of_another_season_are_left_out():
    nfo = read_nfo(episode(1, "a") + episode(2, "b") + episode(4, "d") + episode(3, "other", season=2))
    assert (nfo.episode_end, list(nfo.further)) == (2, [2])
    assert read_nfo(episode(1, "a") + episode(3, "c")) == read_nfo(episode(1, "a"))


@pytest.mark.parametrize(
    ("title", "end", "titles"),
    [
        ("Ebb / Flow", 2, ["Ebb", "Flow"]),
        ("Ebb and Flow", 2, ["Ebb and Flow", None]),
        ("AC/DC / Flow", 2, ["AC/DC", "Flow"]),
    ],
)
def test_jellyfin_writes_several_episodes_into_one_root(title: str, end: int, titles: list[str | None]):
    nfo = read_nfo(episode(1, title, more=f"<episodenumberend>{end}</episodenumberend>"))
    assert nfo.episode_end == end
    assert [nfo.title, *(nfo.further.get(number, EpisodeFacts()).title for number in range(2, end + 1))] == titles


@pytest.mark.parametrize("end", ["1", "0", "99", "x"])
def test_a_last_episode_that_cannot_be_is_none(end: str):
    assert read_nfo(episode(1, "a", more=f"<episodenumberend>{end}</episodenumberend>")).episode_end is None


@pytest.mark.parametrize(
    ("element", "ids"),
    [
        ("<tmdbid>603</tmdbid>", {"tmdb": "603"}),
        ("<imdbid>tt0133093</imdbid>", {"imdb": "tt0133093"}),
        ("<imdb_id>tt0133093</imdb_id>", {"imdb": "tt0133093"}),
        ("<id>tt0133093</id>", {"imdb": "tt0133093"}),
        ("<id>603</id>", {}),
        ("<uniqueid>603</uniqueid>", {}),
        ('<uniqueid default="true">tt0133093</uniqueid>', {"imdb": "tt0133093"}),
        ('<uniqueid type="unknown"> tt0133093 </uniqueid>', {"imdb": "tt0133093"}),
        ('<uniqueid type="tmdb">603</uniqueid><tmdbid>604</tmdbid>', {"tmdb": "603"}),
        ('<uniqueid type="TheMovieDB">603</uniqueid>', {"tmdb": "603"}),
        ('<id moviedb="themoviedb">603</id>', {"tmdb": "603"}),
        ('<id TMDB="603">tt0133093</id>', {"imdb": "tt0133093", "tmdb": "603"}),
        ('<uniqueid type="tmdbSet">9</uniqueid><uniqueid type="tmdb">0</uniqueid>', {}),
        ('<uniqueid type="tmdb">junk</uniqueid><tmdbid>604</tmdbid>', {"tmdb": "604"}),
        ("<trailer>https://www.imdb.com/title/tt9999999/</trailer>", {}),
    ],
)
def test_every_programs_spelling_of_an_id_is_read(element: str, ids: dict[str, str]):
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
def test_malformed_and_hostile_text_yields_nothing(text: str):
    assert read_nfo(text) == Nfo()


def test_a_deeply_nested_tree_does_no_harm():
    assert read_nfo("<movie><title>Deep</title>" + "<a>" * 19_000 + "</a>" * 19_000 + "</movie>").title == "Deep"


def test_titles_are_truncated_and_clean():
    assert read_nfo(f"<movie><title>{'x' * 900_000}</title></movie>").title == "x" * 500
    nfo = read_nfo("<episodedetails><title> two&#10;\u202elines </title><showtitle>a\x85b</showtitle></episodedetails>")
    assert (nfo.title, nfo.show_title) == ("two lines", "a b")


def test_a_control_character_in_a_plot_does_not_lose_the_rest():
    nfo = read_nfo("<movie><title>Copper Lane</title><plot>one\x0btwo\x1b</plot><tmdbid>778</tmdbid></movie>")
    assert nfo == Nfo(external_ids={"tmdb": "778"}, title="Copper Lane")


@pytest.mark.parametrize("markup", ["<a/>" * 50_000, "<a " + " ".join(f"b{n}=''" for n in range(50_000)) + "/>"])
def test_an_nfo_of_pure_markup_is_not_read(markup: str):
    assert read_nfo(f"<movie><title>Heat</title>{markup}</movie>") == Nfo()


# What is broken, and can be read all the same


@pytest.mark.parametrize(
    ("body", "title"),
    [
        ("<title>Tom & Jerry</title>", "Tom & Jerry"),
        ("<title>A</title><tag>a&times;b&nbsp;c</tag>", "A"),
        ("<title>Caf&eacute; &amp; Bar</title><plot>&nbsp;</plot>", "Café & Bar"),
        ("<title>A</title><plot>x < y, <3, and <b>more</plot>", "A"),
        ("<plot>one<br>two</plot><title>A</title>", "A"),
        ("<plot>one <i>two</b></plot><title>A</title>", "A"),
        ("<genre>Drama<title>A</title>", "A"),
        ("<title>A<year>1995</year>", "A"),
        ("<plot a=1>one</plot><title>A</title>", "A"),
        ("<actor><name>Ann & Co</name><title>no</title></actor><title>A</title>", "A"),
        ("<set><name>& more</name><title>no</title></set><title>A</title>", "A"),
        ("<!-- <title>no</title> & --><title>A</title>", "A"),
        ("<title><![CDATA[Tom & <Jerry>]]></title><plot>&</plot>", "Tom & <Jerry>"),
        ("<Title>A</Title>&", "A"),
        ("<title>A</title></director>", "A"),
    ],
)
def test_xml_that_is_not_well_formed_is_repaired(body: str, title: str):
    nfo = read_nfo(f"<movie>{body}<year>1995</year><tmdbid>778</tmdbid></movie>")
    assert (nfo.title, nfo.year, nfo.external_ids) == (title, 1995, {"tmdb": "778"})


def test_a_file_that_ends_too_early_gives_what_is_complete():
    nfo = read_nfo("<movie><title>Copper Lane</title><year>2004</year><tmdbid>77")
    assert nfo == Nfo(title="Copper Lane", year=2004)


def test_links_of_trailers_are_no_ids_in_a_file_that_ends_too_early():
    assert read_nfo("<movie><trailer>https://www.imdb.com/title/tt9999999/</trailer>").external_ids == {}


def test_names_in_another_case_or_namespace_are_the_same():
    text = '<Movie xmlns="urn:x" xmlns:xsi="urn:y"><Title xsi:a="b">A</Title></Movie>'
    assert read_nfo(text).title == "A"


def test_a_title_that_was_escaped_twice_is_read():
    assert read_nfo("<movie><title>Tom &amp;amp; Jerry&amp;#39;s</title></movie>").title == "Tom & Jerry's"


def test_the_original_title_stands_in_for_an_empty_one():
    assert read_nfo("<movie><title/><originaltitle>A</originaltitle></movie>").title == "A"


@pytest.mark.parametrize(
    ("body", "year", "air_date"),
    [
        ("<year>0</year><premiered>2004-05-06</premiered>", 2004, date(2004, 5, 6)),
        ("<year>0000</year><premiered>0000-00-00</premiered>", None, None),
        ("<aired>0000-00-00</aired><premiered>2004-05-06</premiered>", 2004, date(2004, 5, 6)),
        ("<aired>0001-01-01</aired>", None, None),
        ("<premiered>2004-05-06T00:00:00</premiered>", 2004, date(2004, 5, 6)),
        ("<premiered>2004/5/6</premiered>", 2004, date(2004, 5, 6)),
        ("<releasedate>2004-05-06</releasedate>", 2004, None),
        ("<year>2004-05-06</year>", 2004, None),
        ("<year>(2004)</year>", 2004, None),
        ("<premiered>2004-13-45</premiered>", None, None),
    ],
)
def test_dates_are_read_as_programs_write_them_and_zeros_are_none(body: str, year: int | None, air_date: date | None):
    nfo = read_nfo(f"<episodedetails>{body}</episodedetails>")
    assert (nfo.year, nfo.air_date) == (year, air_date)


@pytest.mark.parametrize(
    "text",
    [
        "<movie>" + "<title>" * 39_000,
        "<movie>" + "<plot>&<b>" * 19_000 + "</plot>" * 900,
        "<movie><a " + "b='" * 30_000,
    ],
)
def test_a_repair_takes_no_longer_than_the_text_is_long(text: str):
    assert read_nfo(text) == Nfo()


# Encodings


@pytest.mark.parametrize(
    ("declared", "encoding"),
    [
        ("ISO-8859-1", "latin-1"),
        ("windows-1252", "cp1252"),
        ("Windows-1251", "cp1251"),
        ("Shift_JIS", "cp932"),
        ("GB2312", "gb2312"),
        ("UTF-8", "utf-8"),
        ("utf-8", "utf-8-sig"),
        ("utf-16", "utf-8"),  # as .NET declares it, whatever it writes
        ("utf-16", "utf-16"),
        ("utf-16", "utf-16-le"),
        ("utf-16", "utf-16-be"),
        ("ISO-8859-1", "utf-8"),
        ("nonsense", "utf-8"),
    ],
)
def test_the_declared_encoding_is_used_unless_it_is_wrong(declared: str, encoding: str):
    title = {"cp1251": "Жара", "cp932": "東京物語", "gb2312": "活着"}.get(encoding, "Käse für Zoë")
    text = f'<?xml version="1.0" encoding="{declared}"?>\n<movie><title>{title}</title></movie>'
    assert read_nfo(decode_nfo(text.encode(encoding))).title == title


@pytest.mark.parametrize("declared", ["utf-8", "punycode", "unicode_escape", "hex", "nonsense"])
def test_what_is_not_what_it_declares_is_read_as_on_windows(declared: str):
    text = f'<?xml version="1.0" encoding="{declared}"?><movie><title>Käse</title></movie>'
    assert read_nfo(decode_nfo(text.encode("cp1252"))).title == "Käse"


@pytest.mark.parametrize(
    ("elements", "place"),
    [
        ("<airsafter_season>1</airsafter_season>", EpisodePlace(1)),
        (
            "<airsbefore_season>2</airsbefore_season><airsbefore_episode>3</airsbefore_episode>",
            EpisodePlace(2, 3),
        ),
        ("<airsbefore_season>2</airsbefore_season>", EpisodePlace(2, 0)),
        ("<displayseason>2</displayseason><displayepisode>3</displayepisode>", EpisodePlace(2, 3)),
        ("<displayseason>1</displayseason><displayepisode>4096</displayepisode>", EpisodePlace(1)),
        ("<displayafterseason>1</displayafterseason>", EpisodePlace(1)),
        # As Jellyfin and tinyMediaManager write both, and the latter where it knows of no place.
        (
            "<airsafter_season>1</airsafter_season><displayseason>3</displayseason><displayepisode>2</displayepisode>",
            EpisodePlace(1),
        ),
        ("<displayseason>-1</displayseason><displayepisode>-1</displayepisode>", None),
        ("<airsbefore_season>0</airsbefore_season><airsbefore_episode>0</airsbefore_episode>", None),
        ("<airsafter_season/><airsbefore_season>soon</airsbefore_season>", None),
        ("", None),
    ],
)
def test_a_special_may_have_a_place_among_the_regular_episodes(elements: str, place: EpisodePlace | None):
    assert read_nfo(episode(1, "Between", season=0, more=elements)).place == place
    assert read_nfo(episode(1, "Between & repaired", season=0, more=elements)).place == place


def test_the_second_special_of_a_file_has_a_place_of_its_own():
    nfo = read_nfo(
        episode(1, "Ebb", season=0) + episode(2, "Flow", season=0, more="<airsafter_season>1</airsafter_season>")
    )
    assert (nfo.place, nfo.further) == (None, {2: EpisodeFacts("Flow", {}, EpisodePlace(1))})
