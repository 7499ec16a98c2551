"""Subtitles in films and beside them: which film they belong to, their encoding, and their conversion."""

from pathlib import Path

import av
import pytest

from captions import ASS, SRT, VTT, film_with_subtitles
from pictures import RED, film
from playhead.domain.tracks import SubtitleTrack
from playhead.media.contents import Unusable
from playhead.media.probe import probe
from playhead.media.sidecars import find_sidecars
from playhead.media.subtitles import decoded, webvtt_of_file, webvtt_of_film
from playhead.media.tracks import list_tracks

FILM = "Heat (1995)/Heat (1995).mkv"


def lay(root: Path, *paths: str) -> Path:
    for path in paths:
        file = root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    return root


# Which film they belong to


@pytest.mark.parametrize(
    ("tags", "track"),
    [
        ("srt", SubtitleTrack("subrip")),
        ("ass", SubtitleTrack("ass")),
        ("ssa", SubtitleTrack("ass")),
        ("vtt", SubtitleTrack("webvtt")),
        ("SRT", SubtitleTrack("subrip")),
        ("en.srt", SubtitleTrack("subrip", "en")),
        ("ger.srt", SubtitleTrack("subrip", "de")),
        ("German.srt", SubtitleTrack("subrip", "de")),
        ("pt-BR.srt", SubtitleTrack("subrip", "pt-BR")),
        ("en.forced.srt", SubtitleTrack("subrip", "en", forced=True)),
        ("forced.en.srt", SubtitleTrack("subrip", "en", forced=True)),
        ("en.default.srt", SubtitleTrack("subrip", "en", default=True)),
        ("en.sdh.srt", SubtitleTrack("subrip", "en", "SDH")),
        ("en.hi.srt", SubtitleTrack("subrip", "en", "SDH")),
        ("hi.srt", SubtitleTrack("subrip", "hi")),
        ("2.eng.srt", SubtitleTrack("subrip", "en")),
        ("en.Signs.and.songs.srt", SubtitleTrack("subrip", "en", "Signs and songs")),
        ("English - SDH.srt", SubtitleTrack("subrip", "en", "SDH")),
        ("English (Forced).srt", SubtitleTrack("subrip", "en", forced=True)),
        ("2_English.srt", SubtitleTrack("subrip", "en")),
        ("3_eng,English [CC].srt", SubtitleTrack("subrip", "en", "SDH")),
        ("spa.lat.srt", SubtitleTrack("subrip", "es-419")),
        ("Spanish (Latin America).srt", SubtitleTrack("subrip", "es-419")),
        ("Chinese.Simplified.srt", SubtitleTrack("subrip", "zh-Hans")),
        ("Commentary by it and no one.srt", SubtitleTrack("subrip", None, "Commentary by it and no one")),
        ("pl.hi.srt", SubtitleTrack("subrip", "pl", "SDH")),
        ("zh-Hans.ass", SubtitleTrack("ass", "zh-Hans")),
    ],
)
def test_the_rest_of_the_name_describes_the_subtitles(tmp_path: Path, tags: str, track: SubtitleTrack):
    lay(tmp_path, FILM, f"Heat (1995)/Heat (1995).{tags}")
    (found,) = find_sidecars(tmp_path, FILM)
    assert found.path == f"Heat (1995)/Heat (1995).{tags}"
    assert SubtitleTrack(found.codec, found.language, found.title, found.forced, found.default) == track


@pytest.mark.parametrize(
    "name",
    ["Alien.srt", "Heat (1995)2.srt", "Heat (1995).txt", "Heat (1995).idx", "srt", ".Heat (1995).srt", "Ronin.en.srt"],
)
def test_other_files_do_not_belong_to_the_film(tmp_path: Path, name: str):
    lay(tmp_path, FILM, f"Heat (1995)/{name}")
    assert find_sidecars(tmp_path, FILM) == []


def test_a_longer_name_belongs_to_the_video_with_the_longer_name(tmp_path: Path):
    lay(tmp_path, "Heat.mkv", "Heat.2.mkv", "Heat.2.en.srt", "Heat.de.srt", "Heat.2.srt")
    assert [track.path for track in find_sidecars(tmp_path, "Heat.mkv")] == ["Heat.de.srt"]
    assert [track.path for track in find_sidecars(tmp_path, "Heat.2.mkv")] == ["Heat.2.en.srt", "Heat.2.srt"]


def test_a_subtitle_folder_is_searched(tmp_path: Path):
    lay(tmp_path, FILM, "Heat (1995)/Subs/Heat (1995).fr.srt", "Heat (1995)/Heat (1995).en.srt")
    lay(tmp_path, "Heat (1995)/Extras/Heat (1995).it.srt")
    assert [track.language for track in find_sidecars(tmp_path, FILM)] == ["en", "fr"]


def languages(root: Path, video: str) -> list[str | None]:
    return [track.language for track in find_sidecars(root, video)]


@pytest.mark.parametrize("name", ["Heat (1995)_en.srt", "Heat (1995) (English).srt", "Heat (1995) - eng.srt"])
def test_a_language_may_follow_without_a_dot(tmp_path: Path, name: str):
    lay(tmp_path, FILM, f"Heat (1995)/{name}")
    assert languages(tmp_path, FILM) == ["en"]


def test_names_with_decomposed_accents_are_the_same(tmp_path: Path):
    lay(tmp_path, "F/Cr\u00e8me Stra\u00dfe.mkv", "F/Cre\u0300me Stra\u00dfe.de.Kommentar.srt")
    (track,) = find_sidecars(tmp_path, "F/Cr\u00e8me Stra\u00dfe.mkv")
    assert (track.language, (track.title or "").lower()) == ("de", "kommentar")


def test_subtitles_called_like_the_film_belong_to_all_its_versions(tmp_path: Path):
    lay(tmp_path, "Heat (1995)/Heat (1995) - 1080p.mkv", "Heat (1995)/Heat (1995) - 2160p.mkv")
    lay(tmp_path, "Heat (1995)/Heat (1995).de.srt", "Heat (1995)/Heat (1995) - 2160p.en.srt", "Heat (1995)/Heat.fr.srt")
    assert languages(tmp_path, "Heat (1995)/Heat (1995) - 1080p.mkv") == ["de", "fr"]
    assert languages(tmp_path, "Heat (1995)/Heat (1995) - 2160p.mkv") == ["en", "de", "fr"]


def test_subtitles_called_like_a_film_belong_to_no_other_film_of_the_folder(tmp_path: Path):
    lay(tmp_path, "Alien/Alien (1979) - 1080p.mkv", "Alien/Alien 3 (1992).mkv", "Alien/Alien.en.srt", "Alien/en.srt")
    lay(tmp_path, "Top - 1080p.mkv", "Top.en.srt")
    for video in ("Alien/Alien (1979) - 1080p.mkv", "Alien/Alien 3 (1992).mkv", "Top - 1080p.mkv"):
        assert languages(tmp_path, video) == []


@pytest.mark.parametrize("name", ["English.srt", "2_English.srt", "en.srt", "SDH.eng.HI.srt"])
def test_a_language_alone_is_enough_beside_a_single_film(tmp_path: Path, name: str):
    lay(tmp_path, "Heat.1995.1080p-GRP/Heat.1995.1080p-GRP.mp4", "Heat.1995.1080p-GRP/sample/sample.mp4")
    lay(tmp_path, f"Heat.1995.1080p-GRP/Subs/{name}", f"Heat.1995.1080p-GRP/{name}")
    assert languages(tmp_path, "Heat.1995.1080p-GRP/Heat.1995.1080p-GRP.mp4") == ["en", "en"]


def test_what_lies_in_a_folder_of_subtitles_of_a_single_film_is_its_own(tmp_path: Path):
    lay(tmp_path, FILM, "Heat (1995)/Subs/heat.dvdrip-grp.srt", "Heat (1995)/Subs/German/whatever.srt")
    lay(tmp_path, "Heat (1995)/Subs/Covers/x.srt")
    assert languages(tmp_path, FILM) == [None, "de"]


def test_a_folder_called_like_the_release_of_a_single_film_holds_its_subtitles(tmp_path: Path):
    lay(tmp_path, FILM, "Heat (1995)/Subs/Heat.1995.1080p-GRP/2_English.srt")
    lay(tmp_path, "Heat (1995)/Subs/Ronin.1998.1080p-GRP/3_French.srt")
    assert languages(tmp_path, FILM) == ["en"]
    lay(tmp_path, "Heat (1995)/Ronin (1998).mkv")
    assert languages(tmp_path, FILM) == []


def test_a_folder_called_like_an_episode_holds_its_subtitles(tmp_path: Path):
    season = "Lynx.S01.1080p-GRP"
    for number in (1, 2):
        lay(tmp_path, f"{season}/Lynx.S01E0{number}.1080p-GRP.mp4")
    lay(tmp_path, f"{season}/Subs/Lynx.S01E01.1080p-GRP/2_English.srt", f"{season}/Subs/S01E02/3_French.srt")
    lay(tmp_path, f"{season}/Subs/Lynx.S01E02.de.srt", f"{season}/Subs/English.srt")
    assert languages(tmp_path, f"{season}/Lynx.S01E01.1080p-GRP.mp4") == ["en"]
    assert languages(tmp_path, f"{season}/Lynx.S01E02.1080p-GRP.mp4") == ["de", "fr"]


def test_subtitles_with_the_numbers_of_an_episode_belong_to_it_and_its_versions(tmp_path: Path):
    lay(tmp_path, "S/Lynx - S01E01 - It Begins - 1080p.mkv", "S/Lynx - S01E01 - It Begins - 720p.mkv")
    lay(tmp_path, "S/Lynx - S01E02.mkv", "S/lynx.1x01.It.Begins.de.forced.srt", "S/Lynx S01E02-E03.fr.srt")
    for quality in ("1080p", "720p"):
        (track,) = find_sidecars(tmp_path, f"S/Lynx - S01E01 - It Begins - {quality}.mkv")
        assert (track.language, track.title, track.forced) == ("de", None, True)
    assert languages(tmp_path, "S/Lynx - S01E02.mkv") == []


def test_a_missing_folder_contains_none(tmp_path: Path):
    assert find_sidecars(tmp_path, FILM) == []


def test_embedded_subtitles_come_before_those_beside_the_film(tmp_path: Path):
    path = film_with_subtitles(tmp_path / "Heat.mkv", "subrip", "ass", language="ger")
    lay(tmp_path, "Heat.en.srt")
    tracks = list_tracks(tmp_path, "Heat.mkv", probe(path).streams)
    assert tracks.subtitles == [
        SubtitleTrack("subrip", "de", number=0),
        SubtitleTrack("ass", "de", number=1),
        SubtitleTrack("subrip", "en", path="Heat.en.srt"),
    ]
    assert list_tracks(None, "Heat.mkv", probe(path).streams).subtitles == tracks.subtitles[:2]


# Encoding


@pytest.mark.parametrize(
    ("text", "charset", "language"),
    [
        ("Grüße … schön", "utf-8", None),
        ("Grüße … schön", "utf-8-sig", None),
        ("Grüße … schön", "utf-16", None),
        ("Grüße … schön", "utf-16-le", None),
        ("Grüße … schön", "utf-16-be", None),
        ("Grüße … schön", "cp1252", None),
        ("Grüße … schön", "cp1252", "de"),
        ("Dobrý večer, příteli", "cp1250", "cs"),
        ("Добрый вечер", "cp1251", "ru"),
        ("İyi akşamlar", "cp1254", "tr"),
        ("こんばんは", "cp932", "ja"),
        ("晚上好", "gb18030", "zh"),
        ("晚上好", "big5hkscs", "zh-TW"),
        ("안녕하세요", "cp949", "ko"),
    ],
)
def test_the_encoding_is_recognised_by_a_mark_or_by_the_language(text: str, charset: str, language: str | None):
    assert decoded(text.encode(charset), language) == text


def test_undecodable_text_is_read_as_far_as_possible():
    assert decoded(b"ab\x81\xff", "en").startswith("ab")


# Conversion


@pytest.mark.parametrize(
    ("content", "codec"), [(SRT, "subrip"), (SRT.replace("\n", "\r\n"), "subrip"), (ASS, "ass"), (VTT, "webvtt")]
)
def test_a_file_becomes_webvtt(tmp_path: Path, content: str, codec: str):
    path = tmp_path / "film"
    path.write_bytes(content.encode())
    assert webvtt_of_file(path, codec, None).decode() == VTT


@pytest.mark.parametrize(
    ("name", "codec"), [("a.mkv", "subrip"), ("b.mkv", "ass"), ("c.mp4", "mov_text"), ("d.mkv", "webvtt")]
)
def test_a_stream_becomes_webvtt(tmp_path: Path, name: str, codec: str):
    path = film_with_subtitles(tmp_path / name, codec)
    assert probe(path).streams[-1].codec == codec
    assert webvtt_of_film(path, 0).decode() == VTT


def test_the_requested_one_of_several_streams_is_converted(tmp_path: Path):
    path = film_with_subtitles(tmp_path / "film.mkv", "subrip", "ass")
    assert webvtt_of_film(path, 1).decode() == VTT
    with pytest.raises(Unusable):
        webvtt_of_film(path, 2)


def test_webvtt_keeps_its_positions_and_styles(tmp_path: Path):
    content = "WEBVTT - mine\n\nSTYLE\n::cue { color: red }\n\n00:01.000 --> 00:02.000 align:left\nHello\n"
    (tmp_path / "film.vtt").write_text("\ufeff" + content)
    assert webvtt_of_file(tmp_path / "film.vtt", "webvtt", None).decode() == content


@pytest.mark.parametrize("codec", ["subrip", "ass", "webvtt"])
@pytest.mark.parametrize("content", [b"", b"no subtitles at all", bytes(1000), b"\xff" * 100, b"WEBVTT\n\nnothing"])
def test_a_file_that_is_not_subtitles_is_unusable(tmp_path: Path, codec: str, content: bytes):
    (tmp_path / "film.srt").write_bytes(content)
    with pytest.raises(Unusable):
        webvtt_of_file(tmp_path / "film.srt", codec, None)


def test_a_too_large_or_missing_file_and_a_link_are_unusable(tmp_path: Path):
    (tmp_path / "large.srt").write_bytes(SRT.encode() + bytes(9_000_000))
    (tmp_path / "real.srt").write_text(SRT)
    (tmp_path / "link.srt").symlink_to(tmp_path / "real.srt")
    for name in ("large.srt", "gone.srt", "link.srt", "."):
        with pytest.raises(Unusable):
            webvtt_of_file(tmp_path / name, "subrip", None)


def test_a_file_with_more_cues_than_any_film_has_is_unusable(tmp_path: Path):
    cues = (f"{number}\n00:00:01,000 --> 00:00:02,000\n{number}\n\n" for number in range(60_000))
    (tmp_path / "film.srt").write_text("".join(cues))
    with pytest.raises(Unusable, match="too much"):
        webvtt_of_file(tmp_path / "film.srt", "subrip", None)


def test_neither_a_film_without_subtitles_nor_another_file_has_any(tmp_path: Path):
    (tmp_path / "no.mkv").write_text("no film")
    for path in (film(tmp_path / "film.mkv", [RED]), tmp_path / "no.mkv"):
        with pytest.raises(Unusable):
            webvtt_of_film(path, 0)


def test_forced_streams_of_a_film_are_marked(tmp_path: Path):
    path = tmp_path / "film.mkv"
    with av.open(str(film_with_subtitles(tmp_path / "plain.mkv", "subrip"))) as source, av.open(str(path), "w") as copy:
        streams = {stream.index: copy.add_stream_from_template(stream) for stream in source.streams}
        streams[1].disposition = av.stream.Disposition.forced
        for packet in source.demux():
            if packet.pts is not None:
                packet.stream = streams[packet.stream.index]
                copy.mux(packet)
    assert [stream.forced for stream in probe(path).streams] == [False, True]
