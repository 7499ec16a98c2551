"""The shapes of pictures."""

from playhead.domain.artwork import WIDTH_DEFAULT, WIDTHS, ArtworkKind, size_of, usual_kind
from playhead.domain.model import ItemKind


def test_a_poster_is_portrait_and_a_still_is_landscape():
    assert [size_of(ArtworkKind.POSTER, width) for width in WIDTHS] == [(240, 360), (480, 720), (960, 1440)]
    assert [size_of(ArtworkKind.STILL, width) for width in WIDTHS] == [(240, 135), (480, 270), (960, 540)]
    assert WIDTH_DEFAULT in WIDTHS


def test_episodes_are_shown_by_stills_and_everything_else_by_posters():
    assert {kind: usual_kind(kind) for kind in ItemKind} == {
        ItemKind.MOVIE: ArtworkKind.POSTER,
        ItemKind.SHOW: ArtworkKind.POSTER,
        ItemKind.EPISODE: ArtworkKind.STILL,
    }
