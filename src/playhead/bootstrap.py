"""Builds and connects the objects of an installation. The real clock, randomness and id generation are here."""

import asyncio
import logging
import secrets
import socket
import time
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from uuid import uuid4

from playhead.config import Settings
from playhead.domain.backups import BackupPlan
from playhead.domain.device_codes import USER_CODE_ALPHABET, USER_CODE_LENGTH
from playhead.domain.identity import GroupRules
from playhead.domain.model import Instant, Role
from playhead.domain.openid import OpenIDClient
from playhead.domain.passkeys import RECOVERY_ALPHABET, RECOVERY_CODE_LENGTH
from playhead.domain.playback import Policy
from playhead.media.decoders import Decoders
from playhead.media.names import filenames
from playhead.services.accounts import Accounts
from playhead.services.artwork import Artwork, ArtworkTools
from playhead.services.auditing import Audit
from playhead.services.auto_scanning import AutoScans
from playhead.services.backups import Backups
from playhead.services.browsing import Browsing
from playhead.services.catalogue import Catalogue
from playhead.services.correcting import Correcting
from playhead.services.credentials import Credentials
from playhead.services.device_codes import DeviceCodes
from playhead.services.events import Events
from playhead.services.history import History
from playhead.services.household import Household
from playhead.services.identity import AccountRules, Identities, ProxyIdentities, ended_credentials
from playhead.services.importing import Importer
from playhead.services.installation import Services
from playhead.services.libraries import Libraries
from playhead.services.lists import Lists
from playhead.services.marks import Marks
from playhead.services.merging import Merging
from playhead.services.openid import OpenID
from playhead.services.openid_provider import Provider
from playhead.services.passkeys import Passkeys, relying_party
from playhead.services.passwords import MEMORY_KIB, Passwords
from playhead.services.playback import Playback
from playhead.services.relaying import Relay
from playhead.services.scanning import Scanner, ScanTools
from playhead.services.sign_in_steps import SignInSteps
from playhead.services.sign_ins import SignIns
from playhead.services.snapshots import Snapshots
from playhead.services.splitting import Splitting
from playhead.services.statistics import Statistics
from playhead.services.subtitles import Subtitles, SubtitleTools
from playhead.storage.accounts import REVOCATIONS_CHANNEL
from playhead.storage.engine.database import Database
from playhead.storage.engine.folder_lock import FolderLock, lock_shared
from playhead.storage.engine.sqlite import SQLiteDatabase
from playhead.storage.migrations.upgrade import upgrade
from playhead.storage.upkeep.backups import BackupFolder
from playhead.storage.upkeep.permissions import narrow, private_paths
from playhead.storage.upkeep.restoring import remove_second_names

log = logging.getLogger(__name__)

_CHANNEL = "playhead_changes"


@dataclass(frozen=True, slots=True, kw_only=True)
class Installation(Services):
    """An open database and the services over it."""

    database: Database


def now() -> Instant:
    """Return the current time."""
    return Instant(time.time_ns() // 1_000_000)


def new_id() -> str:
    """Return a random UUID."""
    return str(uuid4())


def new_user_code() -> str:
    """Return random characters for a user code."""
    return "".join(secrets.choice(USER_CODE_ALPHABET) for _ in range(USER_CODE_LENGTH))


def new_secret() -> str:
    """Return 256 random bits as hexadecimal digits."""
    return secrets.token_hex(32)


def new_digits() -> str:
    """Return 128 random bits as hexadecimal digits."""
    return secrets.token_hex(16)


def new_challenge() -> bytes:
    """Return 256 random bits."""
    return secrets.token_bytes(32)


def new_recovery_code() -> str:
    """Return random characters for a recovery code."""
    return "".join(secrets.choice(RECOVERY_ALPHABET) for _ in range(RECOVERY_CODE_LENGTH))


@asynccontextmanager
async def open_installation(
    settings: Settings,
    *,
    on_failure: Callable[[str], None],
    clock: Callable[[], Instant] = now,
    password_memory_kib: int = MEMORY_KIB,
) -> AsyncGenerator[Installation]:
    """Upgrade and open the database, and build the services; close everything at the end, losing nothing accepted.

    `on_failure` is called once, on any thread, with the reason why the store can no longer be trusted.
    `password_memory_kib` is the cost of hashing one password. Raises StorageRefused.
    """
    lock = await asyncio.to_thread(_lock_folder, settings)
    try:
        database = await asyncio.to_thread(_open_database, settings, clock, on_failure)
    except BaseException:
        lock.release()
        raise
    try:
        passwords = Passwords(memory_kib=password_memory_kib, site_words=socket.gethostname().split("."))
        credentials = Credentials(database, clock=clock, monotonic=time.monotonic, new_id=new_id, new_digits=new_digits)
        sign_ins = SignIns(
            database,
            credentials,
            passwords,
            clock=clock,
            new_id=new_id,
            password_roles=[Role.ADMIN] if settings.local_sign_in == "admins" else [*Role],
        )
        identities = Identities(database, _account_rules(settings), clock=clock, new_id=new_id)
        steps = SignInSteps(database, clock=clock, new_secret=new_secret)
        openid = _make_openid(settings, database, credentials, identities, steps, clock)
        catalogue = Catalogue(database, clock=clock, new_id=new_id)
        # A scan has the priority of the server, pictures and subtitles a lower one; neither waits for the other.
        decoders, probers = Decoders(), Decoders(niceness=0)
        artwork, subtitles = _make_pictures_and_subtitles(settings, database, decoders)
        relay = _make_relay(settings)
        events = Events(
            monotonic=time.monotonic,
            ended_tokens=partial(ended_credentials, tokens=credentials.ended_tokens, identities=identities),
            relay=None if relay is None else relay.send,
        )
        if relay is not None:
            relay.start(events)
        _watch_revocations(settings, credentials)
        backups = _make_backups(settings, clock)
        policy = Policy()
        playback = Playback(database, events, clock=clock, new_id=new_id, policy=policy)
        lists = Lists(database, clock=clock, policy=policy, publish=events.publish)
        marks = Marks(database, clock=clock, new_id=new_id, policy=policy, publish=events.publish)
        merging = Merging(database, clock=clock, new_id=new_id, policy=policy, publish=events.publish)
        splitting = Splitting(
            database, clock=clock, new_id=new_id, policy=policy, parse=filenames.parse, publish=events.publish
        )
        scanner = Scanner(
            database,
            clock=clock,
            new_id=new_id,
            tools=ScanTools(filenames.parse, probers.probe, merging.merge_found, splitting),
        )
        auto_scans = AutoScans(database, scanner, settings.rescan_minutes, clock=clock)
        correcting = Correcting(database, scan=scanner.start, clock=clock, new_id=new_id, parse=filenames.parse)
        libraries = Libraries(database, clock=clock, new_id=new_id, publish=events.publish)
        browsing = Browsing(database, clock=clock, policy=policy)
        try:
            yield Installation(
                database=database,
                credentials=credentials,
                sign_ins=sign_ins,
                accounts=Accounts(database, credentials, passwords, clock=clock, new_id=new_id),
                identities=identities,
                proxy_identities=ProxyIdentities(database, identities, clock=clock, monotonic=time.monotonic),
                device_codes=DeviceCodes(
                    database,
                    clock=clock,
                    monotonic=time.monotonic,
                    new_id=new_id,
                    new_device_code=new_secret,
                    new_user_code=new_user_code,
                ),
                openid=openid,
                household=Household(
                    database, credentials, passwords, clock=clock, new_id=new_id, new_secret=new_secret
                ),
                passkeys=Passkeys(
                    database,
                    credentials,
                    sign_ins,
                    steps,
                    relying_party(settings.public_url),
                    clock=clock,
                    new_id=new_id,
                    new_challenge=new_challenge,
                    new_code=new_recovery_code,
                ),
                catalogue=catalogue,
                artwork=artwork,
                subtitles=subtitles,
                scanner=scanner,
                auto_scans=auto_scans,
                importer=Importer(database, clock=clock, new_id=new_id),
                merging=merging,
                splitting=splitting,
                correcting=correcting,
                libraries=libraries,
                audit=Audit(database, correcting, libraries, clock=clock),
                playback=playback,
                history=History(database, clock=clock, policy=policy),
                marks=marks,
                lists=lists,
                statistics=Statistics(database, clock=clock),
                browsing=browsing,
                snapshots=Snapshots(database, browsing, lists, marks),
                events=events,
                backups=backups,
            )
        finally:
            for service in (backups, events, openid, auto_scans, correcting, scanner, merging, artwork, subtitles):
                if service is not None:
                    await service.close()
            await asyncio.gather(*map(asyncio.to_thread, (probers.close, decoders.close)))
            await playback.close()
            passwords.close()
            if relay is not None:
                await relay.close()
            await credentials.close()
    finally:
        await database.close()
        lock.release()


def backup_folder(settings: Settings) -> BackupFolder:
    """Return the folder of backups of an SQLite database. It is created only inside the data folder."""
    folder = settings.backup_path
    is_inside = folder.resolve().is_relative_to(settings.data.resolve())
    return BackupFolder(settings.database_path, folder, make_folder=is_inside)


def _make_backups(settings: Settings, clock: Callable[[], Instant]) -> Backups | None:
    if settings.database_url is not None:
        return None
    plan = BackupPlan(settings.backup_hours, settings.backup_keep)
    return Backups(backup_folder(settings), plan, clock=clock)


def _lock_folder(settings: Settings) -> FolderLock:
    """Keep a restore away from the database. Raises StorageRefused while one is running."""
    if settings.database_url is not None:
        return FolderLock(None)
    path = settings.database_path
    with suppress(OSError):  # opening the database reports what is wrong
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = lock_shared(path)
    remove_second_names(path)
    return lock


def own_paths(settings: Settings) -> Iterator[Path]:
    """Return the folders and files that only Playhead's user may access."""
    database = None if settings.database_url is not None else settings.database_path
    return private_paths(settings.data.absolute(), database, settings.backup_path)


def _open_database(settings: Settings, clock: Callable[[], Instant], on_failure: Callable[[str], None]) -> Database:
    for wide in narrow(own_paths(settings)):
        log.warning("Other users could access %s; now only its owner can", wide)
    url = settings.database_url
    if url is None:
        upgrade(settings.database_path, now=clock())
        return SQLiteDatabase(settings.database_path, on_failure=on_failure, read_s=settings.read_seconds)
    # Loaded only on demand: a start on SQLite is faster without.
    from playhead.storage.engine.postgres import Limits, PostgresDatabase  # noqa: PLC0415
    from playhead.storage.migrations import postgres as migrations  # noqa: PLC0415

    migrations.upgrade(url)
    return PostgresDatabase(url, limits=Limits(read_s=settings.read_seconds))


def _account_rules(settings: Settings) -> AccountRules:
    groups = GroupRules(
        admins=frozenset(settings.admin_groups),
        members=frozenset(settings.member_groups),
        libraries={group: frozenset(names) for group, names in settings.library_groups.items()},
    )
    return AccountRules(settings.create_accounts, groups)


def _make_openid(  # noqa: PLR0913 - what it joins
    settings: Settings,
    database: Database,
    credentials: Credentials,
    identities: Identities,
    steps: SignInSteps,
    clock: Callable[[], Instant],
) -> OpenID | None:
    if not settings.oidc_issuer:
        return None
    client = OpenIDClient(
        settings.oidc_issuer,
        settings.oidc_client_id,
        settings.read_oidc_secret(),
        settings.oidc_scopes,
        settings.oidc_name_claim,
        settings.oidc_groups_claim,
    )
    return OpenID(
        database,
        Provider(client, clock=clock, monotonic=time.monotonic),
        credentials,
        identities,
        steps,
        public_url=settings.public_url.rstrip("/"),
        clock=clock,
        new_secret=new_secret,
    )


def _make_pictures_and_subtitles(
    settings: Settings, database: Database, decoders: Decoders
) -> tuple[Artwork, Subtitles]:
    artwork = Artwork(
        database,
        settings.data.absolute() / "artwork",
        monotonic=time.monotonic,
        tools=ArtworkTools(decoders.picture_of_image, decoders.picture_of_film),
    )
    subtitles = Subtitles(
        database,
        settings.data.absolute() / "subtitles",
        monotonic=time.monotonic,
        tools=SubtitleTools(decoders.webvtt_of_file, decoders.webvtt_of_film),
    )
    return artwork, subtitles


def _make_relay(settings: Settings) -> Relay | None:
    """Return the relay to the other processes on the store; on SQLite only one process serves."""
    url = settings.database_url
    if url is None:
        return None
    from playhead.storage.engine.notifying import PostgresNotifier  # noqa: PLC0415 - as above

    return Relay(PostgresNotifier(url, _CHANNEL), new_id())


def _watch_revocations(settings: Settings, credentials: Credentials) -> None:
    """Let credentials hear of revocations by other processes; on SQLite looking for them costs no round trip."""
    url = settings.database_url
    if url is None:
        return
    from playhead.storage.engine.notifying import PostgresNotifier  # noqa: PLC0415 - as above

    credentials.keep_fresh(PostgresNotifier(url, REVOCATIONS_CHANNEL))
