"""Prepares the demo: copies of its films, two libraries with them, two users with different grants.

Everything is in a separate folder, and preparing again restores whatever is missing or was changed.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from playhead.demo.films import FILMS, SERIES, copy_media
from playhead.domain.accounts import User
from playhead.domain.catalogue import Library
from playhead.domain.model import ItemId, ItemKind, LibraryKind, Role
from playhead.errors import Code, PlayheadError
from playhead.services.access import Viewer
from playhead.services.accounts import Accounts
from playhead.services.catalogue import Catalogue
from playhead.services.credentials import Credentials
from playhead.services.scanning import Scanner
from playhead.services.sign_ins import SignIns

ADMIN: Final = "ada"
MEMBER: Final = "ben"

_LIBRARIES: Final = ((FILMS, LibraryKind.MOVIES), (SERIES, LibraryKind.SHOWS))
_GRANTED: Final = FILMS  # what the member sees; an admin sees everything
_MEDIA_FOLDER: Final = "media"
_CREDENTIALS_FILE: Final = "demo.json"
_PASSWORD_LENGTH: Final = 16  # hexadecimal digits


class DemoCredentials(msgspec.Struct, frozen=True):
    """The credentials of the demo, in a file that only its owner can read, so that the next start shows them again."""

    password: str
    token: str


@dataclass(frozen=True, slots=True)
class DemoUser:
    """A user to try the demo with; `libraries` are the names of those that they see."""

    name: str
    role: Role
    libraries: tuple[str, ...]
    credentials: DemoCredentials


@dataclass(frozen=True, slots=True)
class Demo:
    """What a newcomer needs to know: the admin and the member, and a movie that both see."""

    admin: DemoUser
    member: DemoUser
    movie_id: ItemId
    movie_title: str
    movie_seconds: int


@dataclass(frozen=True, slots=True)
class DemoMaker:
    """Creates a demo in `folder`, which nothing else uses. `new_digits` returns 32 or more random hex digits."""

    credentials: Credentials
    sign_ins: SignIns
    accounts: Accounts
    catalogue: Catalogue
    scanner: Scanner
    folder: Path
    new_digits: Callable[[], str]

    async def prepare(self) -> Demo:
        """Create what is missing, and return what to show.

        Raises OSError if the folder cannot be written, CONFLICT while a scan of the same libraries runs elsewhere.
        """
        await asyncio.to_thread(copy_media, self.folder / _MEDIA_FOLDER)
        kept = await asyncio.to_thread(self._read_credentials)
        admin, admin_credentials = await self._user(ADMIN, Role.ADMIN, kept.get(ADMIN))
        member, member_credentials = await self._user(MEMBER, Role.MEMBER, kept.get(MEMBER))
        credentials = {ADMIN: admin_credentials, MEMBER: member_credentials}
        if credentials != kept:
            await asyncio.to_thread(self._write_credentials, credentials)
        looking = Viewer(admin.id, admin.role)
        for name, kind in _LIBRARIES:
            library = await self._library(looking, name, kind)
            await self.scanner.scan(library.id)
            if name == _GRANTED:
                await self.accounts.grant(library.id, member.id)
        movie = (await self.catalogue.list_items(looking, library=FILMS, kind=ItemKind.MOVIE, limit=1)).items[0].item
        return Demo(
            await self._introduce(admin, admin_credentials),
            await self._introduce(member, member_credentials),
            movie.id,
            movie.title,
            (movie.runtime_ms or 0) // 1000,
        )

    async def _user(self, name: str, role: Role, kept: DemoCredentials | None) -> tuple[User, DemoCredentials]:
        password = self.new_digits()[:_PASSWORD_LENGTH] if kept is None else kept.password
        try:
            user = await self.accounts.find_user_named(name)
        except PlayheadError:
            user = await self.accounts.create_user(name, password, role)
        else:
            if not await self._is_password(name, password):
                await self.accounts.change_user(user.id, password=password)
            if user.role is not role:
                user = (await self.accounts.change_user(user.id, role=role)).user
        token = None if kept is None else kept.token
        principal = None if token is None else await self.credentials.authenticate(token)
        if token is None or principal is None or principal.user_id != user.id:
            token = (await self.accounts.create_token(user.id, "demo")).secret
        return user, DemoCredentials(password, token)

    async def _is_password(self, name: str, password: str) -> bool:
        try:
            signed_in = await self.sign_ins.sign_in(name, password, "demo")
        except PlayheadError as error:
            if error.code in {Code.NOT_AUTHENTICATED, Code.TOO_MANY_ATTEMPTS}:
                return False
            raise
        principal = await self.credentials.authenticate(signed_in.token)
        if principal is not None:
            await self.sign_ins.sign_out(principal)
        return True

    async def _introduce(self, user: User, credentials: DemoCredentials) -> DemoUser:
        seen = await self.catalogue.list_libraries(Viewer(user.id, user.role))
        return DemoUser(user.name, user.role, tuple(view.library.name for view in seen), credentials)

    async def _library(self, viewer: Viewer, name: str, kind: LibraryKind) -> Library:
        try:
            return await self.catalogue.find_library(viewer, name)
        except PlayheadError:
            return await self.catalogue.add_library(name, kind, self.folder / _MEDIA_FOLDER / name)

    def _read_credentials(self) -> dict[str, DemoCredentials]:
        try:
            return msgspec.json.decode((self.folder / _CREDENTIALS_FILE).read_bytes(), type=dict[str, DemoCredentials])
        except (FileNotFoundError, msgspec.DecodeError):
            return {}

    def _write_credentials(self, credentials: dict[str, DemoCredentials]) -> None:
        path = self.folder / _CREDENTIALS_FILE
        unfinished = path.with_suffix(".part")
        unfinished.unlink(missing_ok=True)
        unfinished.touch(0o600, exist_ok=False)  # private to its owner before anything is in it
        unfinished.write_bytes(msgspec.json.format(msgspec.json.encode(credentials)))
        unfinished.replace(path)


def welcome(demo: Demo, url: str) -> str:
    """Return the text of a start: who may sign in, and three commands to try. `url` is the server's, without a path."""
    name = demo.member.name
    movie = f"{url}/api/v1/playback/movie/{demo.movie_id}"
    bearer = f"-H 'Authorization: Bearer {demo.member.credentials.token}'"
    body = f'{{"position_seconds": {demo.movie_seconds // 2}, "duration_seconds": {demo.movie_seconds}}}'
    return "\n".join(
        [
            f"The demo is at {url}",
            "",
            *(_introduced(user) for user in (demo.admin, demo.member)),
            f"Save where {name} is in {demo.movie_title}, read it back, and list what {name} sees:",
            "",
            f"  curl {bearer} -H 'Content-Type: application/json' -d '{body}' {movie}",
            f"  curl {bearer} {movie}",
            f"  curl {bearer} {url}/api/v1/items",
            "",
        ]
    )


def _introduced(user: DemoUser) -> str:
    return (
        f"  {user.name}, {user.role}, sees {' and '.join(user.libraries)}\n"
        f"    password  {user.credentials.password}\n"
        f"    token     {user.credentials.token}\n"
    )
