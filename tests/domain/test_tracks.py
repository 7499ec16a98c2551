"""Tracks derived from streams."""

from playhead.domain.catalogue import MediaStream
from playhead.domain.tracks import SoundTrack, SubtitleTrack, embedded_subtitles, sound_tracks

STREAMS = (
    MediaStream("video", "h264", width=1920, height=1080),
    MediaStream("audio", "aac", language="eng", channels=6, default=True),
    MediaStream("subtitle", "subrip", language="ger", title="Full"),
    MediaStream("audio", "ac3", language="deu", title="Commentary", channels=2),
    MediaStream("subtitle", "hdmv_pgs_subtitle", forced=True),
)


def test_sound_tracks_keep_their_order():
    assert sound_tracks(STREAMS) == [
        SoundTrack("aac", "eng", None, 6, default=True),
        SoundTrack("ac3", "deu", "Commentary", 2),
    ]


def test_subtitles_are_numbered_separately():
    assert embedded_subtitles(STREAMS) == [
        SubtitleTrack("subrip", "ger", "Full", number=0),
        SubtitleTrack("hdmv_pgs_subtitle", forced=True, number=1),
    ]


def test_bitmap_subtitles_are_not_text():
    assert [track.is_text for track in embedded_subtitles(STREAMS)] == [True, False]
