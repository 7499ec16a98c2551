"""What name, folder and NFO files together say about a video."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from pathlib import Path, PurePosixPath

from playhead.domain.catalogue import EpisodePlace, ParsedName
from playhead.domain.model import ItemKind, LibraryKind
from playhead.media.folders import Beside
from playhead.media.reading import Description, NfoFiles, describe


class Names:
    """A parser for these names."""

    def __init__(self, names: Mapping[str, ParsedName]) -> None:
        self._names = names

    def __call__(self, path: PurePosixPath, kind: LibraryKind) -> ParsedName | None:  # noqa: ARG002 - the seam has it
        return self._names.get(str(path))


NOTHING = Beside()
HEAT = ParsedName(ItemKind.MOVIE, "Hitze", 1996, external_ids={"imdb": "tt1", "tmdb": "1"})
EPISODE = ParsedName(ItemKind.EPISODE, "dark", season_number=1, episode_number=2, episode_end=3)


def film(
    root: Path, name: ParsedName | None = HEAT, beside: Beside = NOTHING, **names: ParsedName
) -> Description | None:
    known = {"a.mkv": name} if name else {}
    return describe(
        NfoFiles(root), "a.mkv", beside, LibraryKind.MOVIES, Names(known | {f"{key}.mkv": names[key] for key in names})
    )


def episode(root: Path, name: ParsedName | None = EPISODE, beside: Beside = NOTHING) -> Description | None:
    return describe(NfoFiles(root), "a.mkv", beside, LibraryKind.SHOWS, Names({"a.mkv": name} if name else {}))


def write(root: Path, name: str, body: str, tag: str = "movie", encoding: str = "utf-8") -> None:
    (root / name).write_text(f"<{tag}>{body}</{tag}>", encoding=encoding)


def test_without_an_nfo_the_name_counts(tmp_path: Path) -> None:
    assert film(tmp_path) == Description(HEAT)
    assert film(tmp_path, None) is None
    assert episode(tmp_path) == Description(EPISODE)
    assert episode(tmp_path, None) is None


def test_of_two_nfo_files_that_of_the_video_takes_precedence_member_by_member(tmp_path: Path) -> None:
    write(tmp_path, "movie.nfo", "<title>Heat</title><year>1994</year><uniqueid type='tmdb'>949</uniqueid>")
    write(tmp_path, "a.nfo", "<year>1995</year><uniqueid type='tvdb'>7</uniqueid>")
    found = film(tmp_path, beside=Beside(own="a.nfo", movie="movie.nfo"))
    assert found is not None
    assert found.from_nfo
    assert (found.name.title, found.name.year) == ("Heat", 1995)
    assert found.name.external_ids == {"imdb": "tt1", "tmdb": "949", "tvdb": "7"}


def test_a_movie_nfo_applies_to_versions_of_one_film_and_not_to_two_films(tmp_path: Path) -> None:
    write(tmp_path, "movie.nfo", "<title>Heat</title>")
    beside = Beside(movie="movie.nfo", siblings=("a.mkv", "b.mkv", "trailer.mkv"))
    same = film(tmp_path, beside=beside, b=ParsedName(ItemKind.MOVIE, "hitze", 1996))
    other = film(tmp_path, beside=beside, b=ParsedName(ItemKind.MOVIE, "Ronin", 1996))
    assert same is not None
    assert other is not None
    assert (same.name.title, other.name.title) == ("Heat", "Hitze")


def test_an_empty_nfo_is_ignored(tmp_path: Path) -> None:
    (tmp_path / "a.nfo").write_bytes(b"\xff\xfe\x00")
    assert film(tmp_path, beside=Beside(own="a.nfo")) == Description(HEAT)
    assert film(tmp_path, beside=Beside(own="gone.nfo")) == Description(HEAT)


def test_an_nfo_may_be_utf16_or_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    for encoding in ("utf-16", "utf-8-sig"):
        write(tmp_path, "a.nfo", "<title>Жара</title>", encoding=encoding)
        found = film(tmp_path, beside=Beside(own="a.nfo"))
        assert found is not None
        assert found.name.title == "Жара"


def test_an_nfo_outside_the_library_is_not_read(tmp_path: Path) -> None:
    root = tmp_path / "films"
    root.mkdir()
    write(tmp_path, "a.nfo", "<title>Secret</title>")
    (root / "a.nfo").symlink_to(tmp_path / "a.nfo")
    assert film(root, beside=Beside(own="a.nfo")) == Description(HEAT)


def test_the_show_comes_from_tvshow_nfo_and_the_episode_from_its_own(tmp_path: Path) -> None:
    write(tmp_path, "tvshow.nfo", "<title>Dark</title><year>2017</year><uniqueid type='tvdb'>1</uniqueid>", "tvshow")
    body = (
        "<title>Lies</title><showtitle>Other</showtitle><season>2</season><episode>5</episode>"
        "<aired>2019-06-21</aired><uniqueid type='tvdb'>99</uniqueid>"
    )
    write(tmp_path, "a.nfo", body, "episodedetails")
    found = episode(tmp_path, beside=Beside(own="a.nfo", show="tvshow.nfo"))
    name = ParsedName(
        ItemKind.EPISODE,
        "Dark",
        2017,
        season_number=2,
        episode_number=5,
        episode_title="Lies",
        air_date=date(2019, 6, 21),
        external_ids={"tvdb": "1"},
    )
    assert found == Description(name, from_nfo=True, episode_ids={"tvdb": "99"})


def test_an_nfo_of_the_first_episode_does_not_change_the_last_one_of_the_file(tmp_path: Path) -> None:
    write(tmp_path, "a.nfo", "<season>1</season><episode>2</episode>", "episodedetails")
    assert episode(tmp_path, beside=Beside(own="a.nfo")) == Description(EPISODE)


def test_an_nfo_can_identify_what_the_name_does_not(tmp_path: Path) -> None:
    write(tmp_path, "a.nfo", "<showtitle>Dark</showtitle><season>1</season><episode>4</episode>", "episodedetails")
    found = episode(tmp_path, None, Beside(own="a.nfo"))
    assert found is not None
    assert (found.name.title, found.name.season_number, found.name.episode_number) == ("Dark", 1, 4)
    write(tmp_path, "a.nfo", "<showtitle>Dark</showtitle>", "episodedetails")
    assert episode(tmp_path, None, Beside(own="a.nfo")) is None


def test_only_a_special_has_a_place_among_the_others(tmp_path: Path) -> None:
    write(tmp_path, "a.nfo", "<airsafter_season>1</airsafter_season>", tag="episodedetails")
    special = replace(EPISODE, season_number=0)
    beside = Beside(own="a.nfo")
    assert episode(tmp_path, special, beside) == Description(special, from_nfo=True, place=EpisodePlace(1))
    assert episode(tmp_path, EPISODE, beside) == Description(EPISODE)


def test_an_episode_needs_a_number_or_a_date(tmp_path: Path) -> None:
    assert episode(tmp_path, ParsedName(ItemKind.EPISODE, "Dark")) is None
    assert episode(tmp_path, ParsedName(ItemKind.EPISODE, "Dark", air_date=date(2024, 1, 15))) is not None


def test_parts_of_a_name_are_clean_and_within_the_limits(tmp_path: Path) -> None:
    evil = ParsedName(ItemKind.MOVIE, "Evil \x1b]0;owned\x07\n", edition="Uncut\u202e" + "x" * 300)
    described = film(tmp_path, evil)
    assert described is not None
    assert described.name.title == "Evil ]0;owned"
    assert described.name.edition == ("Uncut " + "x" * 300)[:200]
    assert film(tmp_path, ParsedName(ItemKind.MOVIE, "\x07\x1b")) is None
    named = episode(tmp_path, replace(EPISODE, episode_title="Two\nlines" + "y" * 600))
    assert named is not None
    assert named.name.episode_title == ("Two lines" + "y" * 600)[:500]


def test_the_nfo_of_a_show_is_read_once_for_all_of_its_episodes_in_one_scan(tmp_path: Path) -> None:
    names = Names({f"{number}.mkv": replace(EPISODE, episode_number=number, episode_end=None) for number in (1, 2)})
    titles: list[str] = []
    write(tmp_path, "tvshow.nfo", "<title>Lynx</title>", "tvshow")
    for nfos in (scan := NfoFiles(tmp_path), scan, NfoFiles(tmp_path)):
        for path in ("1.mkv", "2.mkv"):
            found = describe(nfos, path, Beside(show="tvshow.nfo"), LibraryKind.SHOWS, names)
            assert found is not None
            titles.append(found.name.title)
        write(tmp_path, "tvshow.nfo", "<title>Otter</title>", "tvshow")
    assert titles == ["Lynx"] * 4 + ["Otter"] * 2
