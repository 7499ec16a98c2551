"""The demo: created once, found again, and repaired after changes."""

import json
import re
import time
from collections.abc import Iterator
from hashlib import sha256
from itertools import count
from pathlib import Path

import pytest

from fakes import Clock, Ids
from playhead.demo.films import FILMS, MEDIA, SERIES
from playhead.demo.maker import ADMIN, MEMBER, Demo, DemoMaker, welcome
from playhead.domain.model import ItemKind, Role
from playhead.errors import PlayheadError
from playhead.media.names import filenames
from playhead.media.probe import probe
from playhead.services.access import Viewer
from playhead.services.accounts import Accounts
from playhead.services.catalogue import Catalogue
from playhead.services.credentials import Credentials
from playhead.services.passwords import Passwords
from playhead.services.scanning import Scanner, ScanTools
from playhead.services.sign_ins import SignIns
from playhead.storage.engine.sqlite import SQLiteDatabase

pytestmark = pytest.mark.anyio

FILM = f"{FILMS}/Harbour Lights (2019)/Harbour Lights (2019) - 360p.mp4"


@pytest.fixture
def maker(database: SQLiteDatabase, tmp_path: Path) -> Iterator[DemoMaker]:
    clock, ids, numbers = Clock(), Ids(), count(1)
    passwords = Passwords(memory_kib=64)

    def new_digits() -> str:
        return sha256(b"%d" % next(numbers)).hexdigest()[:32]

    credentials = Credentials(database, clock=clock, monotonic=time.monotonic, new_id=ids, new_digits=new_digits)
    sign_ins = SignIns(database, credentials, passwords, clock=clock, new_id=ids)
    accounts = Accounts(database, credentials, passwords, clock=clock, new_id=ids)
    catalogue = Catalogue(database, clock=clock, new_id=ids)
    scanner = Scanner(database, clock=clock, new_id=ids, tools=ScanTools(filenames.parse, probe))
    yield DemoMaker(credentials, sign_ins, accounts, catalogue, scanner, tmp_path / "demo", new_digits)
    passwords.close()


async def titles(maker: DemoMaker, demo: Demo, token: str) -> list[str]:
    principal = await maker.credentials.authenticate(token)
    assert principal is not None
    page = await maker.catalogue.list_items(Viewer(principal.user_id, principal.role))
    assert demo.movie_id in [view.item.id for view in page.items]
    return [view.item.title for view in page.items]


async def test_an_admin_sees_the_whole_demo_and_a_member_only_the_films(maker: DemoMaker):
    demo = await maker.prepare()
    assert (demo.admin.role, demo.member.role) == (Role.ADMIN, Role.MEMBER)
    assert demo.admin.libraries == (FILMS, SERIES)
    assert demo.member.libraries == (FILMS,)
    assert set(await titles(maker, demo, demo.admin.credentials.token)) > {"Harbour Lights", "Tidal Station"}
    assert await titles(maker, demo, demo.member.credentials.token) == ["Harbour Lights", "The Long Meadow"]
    assert (demo.movie_title, demo.movie_seconds) == ("Harbour Lights", 90)


async def test_both_can_sign_in_with_the_shown_credentials(maker: DemoMaker):
    demo = await maker.prepare()
    for user in (demo.admin, demo.member):
        signed_in = await maker.sign_ins.sign_in(user.name, user.credentials.password, "test")
        assert signed_in.user.role is user.role


async def test_the_two_versions_of_a_film_are_one_item(maker: DemoMaker):
    demo = await maker.prepare()
    admin = await maker.accounts.find_user_named(ADMIN)
    detail = await maker.catalogue.get_item(Viewer(admin.id, admin.role), demo.movie_id)
    assert detail.view.item.kind is ItemKind.MOVIE
    assert [file.label.split()[0] for file in detail.files] == ["1080p", "360p"]


async def test_films_have_posters_and_subtitles_that_are_restored_after_deletion(maker: DemoMaker):
    await maker.prepare()
    media = maker.folder / "media"
    beside = {path.relative_to(media) for path in media.rglob("*") if path.suffix in {".jpg", ".srt"}}
    assert beside == {path.relative_to(MEDIA) for path in MEDIA.rglob("*") if path.suffix in {".jpg", ".srt"}}
    for path in beside:
        (media / path).unlink()
    await maker.prepare()
    assert all((media / path).is_file() for path in beside)


async def test_preparing_again_creates_nothing_new(maker: DemoMaker):
    first = await maker.prepare()
    assert await maker.prepare() == first
    for name in (ADMIN, MEMBER):
        user = await maker.accounts.find_user_named(name)
        assert len(await maker.accounts.list_tokens(user.id)) == 1


async def test_preparing_again_does_not_end_sessions(maker: DemoMaker):
    demo = await maker.prepare()
    session = await maker.sign_ins.sign_in(demo.member.name, demo.member.credentials.password, "test")
    await maker.prepare()
    assert await maker.credentials.authenticate(session.token) is not None


async def test_changes_to_the_demo_are_repaired_so_that_the_welcome_is_true(maker: DemoMaker):
    demo = await maker.prepare()
    member = await maker.accounts.find_user_named(MEMBER)
    admin = await maker.accounts.find_user_named(ADMIN)
    await maker.accounts.change_user(member.id, password="something else", role=Role.ADMIN)
    await maker.accounts.change_user(admin.id, role=Role.MEMBER)
    (token,) = await maker.accounts.list_tokens(member.id)
    await maker.accounts.revoke_token(member.id, token.id)
    (maker.folder / "media" / FILM).unlink()
    again = await maker.prepare()
    assert again.movie_id == demo.movie_id
    assert again.admin == demo.admin
    assert again.member.role is Role.MEMBER
    assert await titles(maker, again, again.member.credentials.token) == ["Harbour Lights", "The Long Meadow"]
    await maker.sign_ins.sign_in(MEMBER, again.member.credentials.password, "test")


@pytest.mark.parametrize("content", [None, b"", b"{", b'{"ada": 1}'])
async def test_lost_credentials_are_replaced(maker: DemoMaker, content: bytes | None):
    demo = await maker.prepare()
    file = maker.folder / "demo.json"
    file.unlink() if content is None else file.write_bytes(content)
    again = await maker.prepare()
    assert again.member.credentials != demo.member.credentials
    await maker.sign_ins.sign_in(MEMBER, again.member.credentials.password, "test")
    with pytest.raises(PlayheadError):
        await maker.sign_ins.sign_in(MEMBER, demo.member.credentials.password, "test")


async def test_only_the_owner_can_read_the_credentials(maker: DemoMaker):
    await maker.prepare()
    assert (maker.folder / "demo.json").stat().st_mode & 0o777 == 0o600


async def test_the_welcome_shows_credentials_and_three_commands_with_real_ids(maker: DemoMaker):
    demo = await maker.prepare()
    text = welcome(demo, "http://127.0.0.1:8765")
    for user in (demo.admin, demo.member):
        assert user.credentials.password in text
        assert user.credentials.token in text
    commands = re.findall(r"^  (curl .*)$", text, re.MULTILINE)
    assert len(commands) == 3
    assert all(demo.member.credentials.token in command for command in commands)
    assert sum(f"http://127.0.0.1:8765/api/v1/playback/movie/{demo.movie_id}" in command for command in commands) == 2
    (body,) = re.findall(r"-d '(.*?)'", text)
    assert json.loads(body) == {"position_seconds": 45, "duration_seconds": 90}
