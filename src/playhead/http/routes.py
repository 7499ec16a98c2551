"""Every route of the server, in one table, in the order of the contract in docs/api.md."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from playhead.domain.model import Instant, ItemKind
from playhead.domain.tokens import ScopeNeed
from playhead.errors import Code
from playhead.http.api.accounts import (
    AccountRoutes,
    MeAnswer,
    NewTokenAnswer,
    SessionAnswer,
    SignInRequest,
    TokenAnswer,
    TokenRequest,
    TokensAnswer,
    UserAnswer,
    UserChange,
    UserChangedAnswer,
    UserRequest,
    UsersAnswer,
    UsersQuery,
)
from playhead.http.api.artwork import ArtworkQuery, ArtworkRoutes
from playhead.http.api.batch import BODY_MAX_BYTES as BATCH_MAX_BYTES
from playhead.http.api.batch import BatchAnswer, BatchRequest, BatchRoutes
from playhead.http.api.catalogue import (
    CatalogueRoutes,
    EpisodesQuery,
    ItemAnswer,
    ItemDetailAnswer,
    ItemsAnswer,
    ItemsQuery,
    LibrariesAnswer,
    LibraryAnswer,
    LibraryRequest,
)
from playhead.http.api.corrections import (
    AuditAnswer,
    AuditQuery,
    ChangedItemMembersAnswer,
    CorrectionRoutes,
    IdentityAnswer,
    IdentityRequest,
    ItemChange,
    LibraryChange,
    MergedAnswer,
    MergeRequest,
    RemovalQuery,
    SplitRequest,
    TellApartRequest,
)
from playhead.http.api.device_codes import MEDIA_TYPES as DEVICE_CODE_MEDIA_TYPES
from playhead.http.api.device_codes import (
    DeviceCodeAnswer,
    DeviceCodeRequest,
    DeviceCodeRoutes,
    DeviceTokenAnswer,
    DeviceTokenRequest,
)
from playhead.http.api.events import MEDIA_TYPE as EVENTS_MEDIA_TYPE
from playhead.http.api.events import ChangeAnswer, EventRoutes
from playhead.http.api.formats import ProgressAnswer
from playhead.http.api.household import DevicesAnswer, DevicesQuery, HouseholdRoutes, PinRequest
from playhead.http.api.importing import MEDIA_TYPE, ImportAnswer, ImportLine, ImportRoutes
from playhead.http.api.lists import (
    CardsAnswer,
    CardsQuery,
    ChangedItemsAnswer,
    ChangedQuery,
    HistoryAnswer,
    HistoryQuery,
    ListRoutes,
    NextUpAnswer,
    PlayingListAnswer,
    PlayingQuery,
    SnoozeRequest,
)
from playhead.http.api.marks import (
    ChangedAnswer,
    MarkRoutes,
    PlaysAnswer,
    PlaysQuery,
    PositionsAnswer,
    ShowMarkRoutes,
    StateAnswer,
    WatchedRequest,
)
from playhead.http.api.playback import PlaybackRoutes, SaveRequest, read_noop, save_noop
from playhead.http.api.service import ServiceRoutes, StatusAnswer
from playhead.http.api.statistics import StatisticsAnswer, StatisticsQuery, StatisticsRoutes
from playhead.http.api.streaming import MEDIA_TYPES, StreamRoutes
from playhead.http.api.subtitles import SubtitleRoutes
from playhead.http.metrics import MEDIA_TYPE as METRICS_MEDIA_TYPE
from playhead.http.metrics import MetricsCollector, MetricsRoutes, WorkerLabel
from playhead.http.openapi import document
from playhead.http.pages.activate import ActivatePages
from playhead.http.pages.acts import ActPages
from playhead.http.pages.admin import AdminPages
from playhead.http.pages.admin_health import Examine, HealthPage
from playhead.http.pages.admin_libraries import LibraryAdminPages
from playhead.http.pages.admin_users import UserAdminPages
from playhead.http.pages.api import APIPages
from playhead.http.pages.corrections import CorrectionPages
from playhead.http.pages.entrance import EntrancePages, Ways
from playhead.http.pages.history import HistoryPages
from playhead.http.pages.home import HomePage
from playhead.http.pages.household import HouseholdPages
from playhead.http.pages.items import ItemPages
from playhead.http.pages.libraries import LibraryPages
from playhead.http.pages.openid import OpenIDPages
from playhead.http.pages.page import Pages
from playhead.http.pages.passkey_settings import PasskeySettings
from playhead.http.pages.passkeys import PasskeyPages
from playhead.http.pages.settings import SettingsPages
from playhead.http.pages.sign_in_settings import SignInSettings
from playhead.http.pages.statistics import StatisticsPages
from playhead.http.pages.television import TelevisionPages
from playhead.http.pages.watch import WatchPages
from playhead.http.proxies import IdentityHeader
from playhead.http.route import Access, Caching, Endpoint, HotEndpoint, Route
from playhead.services.artwork import MEDIA_TYPE as ARTWORK_MEDIA_TYPE
from playhead.services.installation import Services
from playhead.services.sampling import Sampler
from playhead.services.subtitles import MEDIA_TYPE as SUBTITLES_MEDIA_TYPE

_ITEM = (Code.ACCESS_DENIED, Code.NOT_FOUND)
_LIMITED = (*_ITEM, Code.LIMIT_REACHED)
_STREAM = (*_ITEM, Code.PRECONDITION_FAILED, Code.RANGE_NOT_SATISFIABLE)
_JSON_OR_BEACON = ("application/json", "text/plain")


# What a child's account may call besides the routes for ANYONE: what belongs to watching. Everything else, including
# every new route, is closed to it until it is named here.
_WATCHING = frozenset(
    {
        "GET /api/v1/playback/movie/{id}",
        "POST /api/v1/playback/movie/{id}",
        "GET /api/v1/playback/episode/{id}",
        "POST /api/v1/playback/episode/{id}",
        "PUT /api/v1/playback/show/{id}/watched",
        "DELETE /api/v1/playback/show/{id}/watched",
        "PUT /api/v1/playback/show/{id}/season/{season}/watched",
        "DELETE /api/v1/playback/show/{id}/season/{season}/watched",
        "POST /api/v1/playback/batch",
        "GET /api/v1/playback",
        "GET /api/v1/continue-watching",
        "PUT /api/v1/continue-watching/{id}/hidden",
        "DELETE /api/v1/continue-watching/{id}/hidden",
        "PUT /api/v1/shows/{id}/dropped",
        "DELETE /api/v1/shows/{id}/dropped",
        "PUT /api/v1/items/{id}/snoozed",
        "DELETE /api/v1/items/{id}/snoozed",
        "GET /api/v1/shows/{id}/next-up",
        "GET /api/v1/history",
        "GET /api/v1/statistics",
        "GET /api/v1/now-playing",
        "GET /api/v1/events",
        "DELETE /api/v1/sessions/current",
        "GET /api/v1/me",
        "GET /api/v1/libraries",
        "GET /api/v1/items",
        "GET /api/v1/items/{id}",
        "GET /api/v1/items/{id}/episodes",
        "GET /api/v1/items/{id}/artwork",
        "GET /api/v1/stream/movie/{id}",
        "GET /api/v1/stream/episode/{id}",
        "GET /api/v1/stream/file/{id}",
        "GET /api/v1/stream/file/{id}/subtitles/{index}",
        "GET /api/v1/noop",
        "POST /api/v1/noop",
        "GET /",
        "GET /history",
        "GET /statistics",
        "POST /history/{id}/remove",
        "GET /watch/movie/{id}",
        "GET /watch/episode/{id}",
        "GET /libraries/{id}",
        "GET /search",
        "GET /movies/{id}",
        "POST /movies/{id}",
        "GET /episodes/{id}",
        "POST /episodes/{id}",
        "GET /shows/{id}",
        "POST /shows/{id}",
        "GET /shows/{id}/seasons/{season}",
        "POST /shows/{id}/seasons/{season}",
        "POST /undo",
        "GET /settings",
        "POST /settings/time-zone",
        "POST /settings/language",
        "GET /api/v1/playback/movie/{id}/state",
        "DELETE /api/v1/playback/movie/{id}",
        "PUT /api/v1/playback/movie/{id}/watched",
        "DELETE /api/v1/playback/movie/{id}/watched",
        "GET /api/v1/playback/movie/{id}/plays",
        "DELETE /api/v1/playback/movie/{id}/plays/{play_id}",
        "GET /api/v1/playback/movie/{id}/positions",
        "POST /api/v1/playback/movie/{id}/positions/{position_id}/restore",
        "GET /api/v1/playback/episode/{id}/state",
        "DELETE /api/v1/playback/episode/{id}",
        "PUT /api/v1/playback/episode/{id}/watched",
        "DELETE /api/v1/playback/episode/{id}/watched",
        "GET /api/v1/playback/episode/{id}/plays",
        "DELETE /api/v1/playback/episode/{id}/plays/{play_id}",
        "GET /api/v1/playback/episode/{id}/positions",
        "POST /api/v1/playback/episode/{id}/positions/{position_id}/restore",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerContext:
    """What the routes need besides the services: the ways to sign in, and the state of the serving process."""

    identity_header: IdentityHeader | None
    ways: Ways
    remote_sign_out_url: str
    is_ready: Callable[[], Awaitable[bool]]
    numbers: MetricsCollector
    sampler: Sampler
    examine: Examine
    worker: WorkerLabel | None
    clock: Callable[[], Instant]
    version: str


def table(services: Services, context: ServerContext) -> list[Route]:
    """Return the rows, each bound to its service."""
    movie = PlaybackRoutes(services.playback, ItemKind.MOVIE)
    episode = PlaybackRoutes(services.playback, ItemKind.EPISODE)
    batch = BatchRoutes(services.playback)
    movie_mark = MarkRoutes(services.marks, ItemKind.MOVIE)
    episode_mark = MarkRoutes(services.marks, ItemKind.EPISODE)
    show_mark = ShowMarkRoutes(services.marks)
    lists = ListRoutes(services.lists)
    statistics = StatisticsRoutes(services.statistics)
    rows: list[Route] = []

    def describe() -> dict[str, Any]:
        return document(rows, context.version)

    account = AccountRoutes(services.sign_ins, services.accounts)
    household = HouseholdRoutes(services.household)
    device_code = DeviceCodeRoutes(services.device_codes, services.credentials)
    catalogue = CatalogueRoutes(services.catalogue, services.scanner, services.auto_scans, services.marks)
    artwork = ArtworkRoutes(services.artwork)
    subtitles = SubtitleRoutes(services.subtitles)
    importing = ImportRoutes(services.importer)
    correction = CorrectionRoutes(
        services.catalogue,
        services.merging,
        services.splitting,
        services.correcting,
        services.libraries,
        services.audit,
        services.auto_scans,
    )
    stream = StreamRoutes(services.catalogue)
    event = EventRoutes(services.events)
    service = ServiceRoutes(context.is_ready, describe)
    metrics = MetricsRoutes(context.numbers, context.worker)
    pages = Pages(services.household, services.snapshots, context.clock)
    api = APIPages(pages, describe)
    entrance = EntrancePages(
        pages,
        services.sign_ins,
        services.accounts,
        services.household,
        context.ways,
        services.passkeys,
        context.remote_sign_out_url,
    )
    openid = OpenIDPages(pages, context.ways)
    household_pages = HouseholdPages(pages, services.household, services.accounts)
    activate = ActivatePages(pages, services.device_codes)
    television = TelevisionPages(pages, services.device_codes, services.credentials, services.accounts)
    home = HomePage(pages, services.snapshots)
    history = HistoryPages(pages, services.lists, services.statistics, services.marks)
    statistics_pages = StatisticsPages(pages, services.statistics)
    library_pages = LibraryPages(pages, services.browsing)
    item = ItemPages(pages, services.browsing)
    act = ActPages(pages, services.marks, services.lists)
    settings = SettingsPages(pages, services.sign_ins, services.accounts)
    sign_in_settings = SignInSettings(
        pages, services.identities, context.identity_header, context.ways, services.passkeys
    )
    passkey = PasskeyPages(pages, services.accounts, services.passkeys)
    passkey_settings = PasskeySettings(sign_in_settings, services.passkeys)
    watch = WatchPages(pages, services.snapshots, services.marks)

    def page(method: str, path: str, endpoint: Endpoint, summary: str, access: Access = Access.MEMBER) -> Route:
        return Route(
            method,
            path,
            pages.translated(endpoint),
            summary,
            access,
            documented=False,
            show_refusal=pages.show_refusal,
            need=ScopeNeed.ALL,
        )

    admin_page = partial(page, access=Access.ADMIN)
    admin = AdminPages(pages, services.accounts, services.catalogue, services.lists)
    library_admin = LibraryAdminPages(
        pages, services.catalogue, services.libraries, services.scanner, services.auto_scans
    )
    corrections = CorrectionPages(
        pages,
        services.catalogue,
        services.merging,
        services.splitting,
        services.correcting,
        services.audit,
    )
    user_admin = UserAdminPages(pages, services.accounts, services.household)
    health = HealthPage(
        pages,
        context.sampler,
        context.examine,
        services.backups,
        clock=context.clock,
        version=context.version,
        worker=None if context.worker is None else context.worker.place,
    )
    # fmt: off
    rows += [
        # Playback progress: frozen
        Route("GET", "/api/v1/playback/movie/{id}", HotEndpoint(movie.read), "Read the progress of a movie",
              answer=ProgressAnswer, problems=_ITEM, tag="playback", hot=True, need=ScopeNeed.READ_PROGRESS),
        Route("POST", "/api/v1/playback/movie/{id}", HotEndpoint(movie.save, SaveRequest),
              "Save the progress of a movie", request=SaveRequest, media_types=_JSON_OR_BEACON,
              answer=ProgressAnswer, problems=_ITEM, tag="playback", hot=True, need=ScopeNeed.REPORT),
        Route("GET", "/api/v1/playback/episode/{id}", HotEndpoint(episode.read), "Read the progress of an episode",
              answer=ProgressAnswer, problems=_ITEM, tag="playback", hot=True, need=ScopeNeed.READ_PROGRESS),
        Route("POST", "/api/v1/playback/episode/{id}", HotEndpoint(episode.save, SaveRequest),
              "Save the progress of an episode", request=SaveRequest, media_types=_JSON_OR_BEACON,
              answer=ProgressAnswer, problems=_ITEM, tag="playback", hot=True, need=ScopeNeed.REPORT),
        # Watch state
        *_mark_routes("movie", movie_mark),
        *_mark_routes("episode", episode_mark),
        Route("PUT", "/api/v1/playback/show/{id}/watched", show_mark.mark, "Mark a show as watched",
              request=WatchedRequest, media_types=_JSON_OR_BEACON, body_required=False, answer=ChangedAnswer,
              problems=_LIMITED, tag="watch state"),
        Route("DELETE", "/api/v1/playback/show/{id}/watched", show_mark.unwatch, "Mark a show as unwatched",
              answer=ChangedAnswer, problems=_ITEM, tag="watch state"),
        Route("PUT", "/api/v1/playback/show/{id}/season/{season}/watched", show_mark.mark, "Mark a season as watched",
              request=WatchedRequest, media_types=_JSON_OR_BEACON, body_required=False, answer=ChangedAnswer,
              problems=_LIMITED, tag="watch state"),
        Route("DELETE", "/api/v1/playback/show/{id}/season/{season}/watched", show_mark.unwatch,
              "Mark a season as unwatched", answer=ChangedAnswer, problems=_ITEM, tag="watch state"),
        Route("POST", "/api/v1/playback/batch", batch.save, "Save the reports of a device that was offline",
              request=BatchRequest, media_types=_JSON_OR_BEACON, answer=BatchAnswer, tag="watch state",
              need=ScopeNeed.REPORT, body_max_bytes=BATCH_MAX_BYTES),
        Route("GET", "/api/v1/playback", lists.changed, "List all of the caller's progress",
              query=ChangedQuery, answer=ChangedItemsAnswer, tag="watch state", need=ScopeNeed.READ_PROGRESS),
        Route("GET", "/api/v1/continue-watching", lists.continue_watching, "List continue watching",
              query=CardsQuery, answer=CardsAnswer, tag="watch state"),
        Route("PUT", "/api/v1/continue-watching/{id}/hidden", lists.hide, "Hide a card until the next activity",
              status=204, problems=_LIMITED, tag="watch state"),
        Route("DELETE", "/api/v1/continue-watching/{id}/hidden", lists.show, "Show a hidden card",
              status=204, problems=_ITEM, tag="watch state"),
        Route("PUT", "/api/v1/shows/{id}/dropped", lists.drop, "Drop a show",
              status=204, problems=_LIMITED, tag="watch state"),
        Route("DELETE", "/api/v1/shows/{id}/dropped", lists.take_up, "Take a dropped show up again",
              status=204, problems=_ITEM, tag="watch state"),
        Route("PUT", "/api/v1/items/{id}/snoozed", lists.snooze, "Snooze a card until a time",
              request=SnoozeRequest, media_types=_JSON_OR_BEACON, status=204, problems=_LIMITED, tag="watch state"),
        Route("DELETE", "/api/v1/items/{id}/snoozed", lists.wake, "Show a snoozed card",
              status=204, problems=_ITEM, tag="watch state"),
        Route("GET", "/api/v1/shows/{id}/next-up", lists.next_up, "Read the next episode of a show",
              answer=NextUpAnswer, problems=_ITEM, tag="watch state"),
        Route("GET", "/api/v1/history", lists.history, "List plays, newest first",
              query=HistoryQuery, answer=HistoryAnswer, problems=_ITEM, tag="watch state"),
        Route("GET", "/api/v1/statistics", statistics.read, "Count plays",
              query=StatisticsQuery, answer=StatisticsAnswer, problems=_ITEM, tag="watch state"),
        Route("GET", "/api/v1/now-playing", lists.now_playing, "List what is playing now",
              query=PlayingQuery, answer=PlayingListAnswer, problems=(Code.ACCESS_DENIED,), tag="watch state",
              need=ScopeNeed.READ_PROGRESS),
        # Live
        Route("GET", "/api/v1/events", event.listen, "Listen to changes",
              answer=ChangeAnswer, media_types=(EVENTS_MEDIA_TYPE,), tag="live", bounded=False,
              caching=Caching.NO_STORE_AS_IS),
        # Authentication
        Route("POST", "/api/v1/sessions", account.sign_in, "Sign in",
              access=Access.ANYONE, request=SignInRequest, answer=SessionAnswer, status=201,
              problems=(Code.NOT_AUTHENTICATED, Code.SECOND_FACTOR_NEEDED, Code.ACCESS_DENIED, Code.TOO_MANY_ATTEMPTS,
                        Code.UNAVAILABLE), tag="authentication"),
        Route("DELETE", "/api/v1/sessions/current", account.sign_out, "Sign out",
              status=204, problems=(Code.NOT_FOUND,), tag="authentication"),
        Route("POST", "/api/v1/device", device_code.begin, "Get codes for a device without a keyboard",
              access=Access.ANYONE, request=DeviceCodeRequest, media_types=DEVICE_CODE_MEDIA_TYPES,
              body_required=False, answer=DeviceCodeAnswer, problems=(Code.TOO_MANY_ATTEMPTS, Code.UNAVAILABLE),
              tag="authentication"),
        Route("POST", "/api/v1/device/token", device_code.redeem, "Exchange a device code for a session",
              access=Access.ANYONE, request=DeviceTokenRequest, media_types=DEVICE_CODE_MEDIA_TYPES,
              answer=DeviceTokenAnswer, problems=(Code.DEVICE_CODE, Code.UNAVAILABLE), tag="authentication"),
        Route("GET", "/api/v1/me", account.me, "Read the current user", answer=MeAnswer, tag="authentication",
              need=ScopeNeed.READ_PROGRESS),
        Route("POST", "/api/v1/tokens", account.create_token, "Create an API token",
              request=TokenRequest, answer=NewTokenAnswer, status=201, problems=(Code.NOT_FOUND, Code.LIMIT_REACHED),
              tag="authentication"),
        Route("GET", "/api/v1/tokens", account.list_tokens, "List API tokens",
              answer=TokensAnswer, tag="authentication"),
        Route("GET", "/api/v1/tokens/{id}", account.read_token, "Read an API token",
              answer=TokenAnswer, problems=(Code.NOT_FOUND,), tag="authentication"),
        Route("DELETE", "/api/v1/tokens/{id}", account.revoke_token, "Revoke an API token",
              status=204, problems=(Code.NOT_FOUND,), tag="authentication"),
        Route("GET", "/api/v1/users", account.list_users, "List users",
              access=Access.ADMIN, query=UsersQuery, answer=UsersAnswer, tag="users"),
        Route("POST", "/api/v1/users", account.create_user, "Add a user",
              access=Access.ADMIN, request=UserRequest, answer=UserAnswer, status=201, problems=(Code.CONFLICT,),
              tag="users"),
        Route("PATCH", "/api/v1/users/{id}", account.change_user, "Change a user",
              access=Access.ADMIN, request=UserChange, answer=UserChangedAnswer,
              problems=(Code.NOT_FOUND, Code.CONFLICT), tag="users"),
        Route("DELETE", "/api/v1/users/{id}", account.remove_user, "Remove a user",
              access=Access.ADMIN, status=204, problems=(Code.NOT_FOUND, Code.CONFLICT), tag="users"),
        Route("POST", "/api/v1/users/{id}/tokens", account.create_token_of, "Create an API token for a user",
              access=Access.ADMIN, request=TokenRequest, answer=NewTokenAnswer, status=201,
              problems=(Code.NOT_FOUND, Code.CONFLICT, Code.LIMIT_REACHED), tag="users"),
        Route("PUT", "/api/v1/users/{id}/pin", household.set_pin, "Set a user's PIN",
              access=Access.ADMIN, request=PinRequest, status=204, problems=(Code.NOT_FOUND,), tag="users"),
        Route("DELETE", "/api/v1/users/{id}/pin", household.remove_pin, "Remove a user's PIN",
              access=Access.ADMIN, status=204, problems=(Code.NOT_FOUND,), tag="users"),
        Route("PUT", "/api/v1/me/pin", household.set_own_pin, "Set the caller's PIN",
              request=PinRequest, status=204, tag="household"),
        Route("DELETE", "/api/v1/me/pin", household.remove_own_pin, "Remove the caller's PIN",
              status=204, tag="household"),
        Route("GET", "/api/v1/household/devices", household.list_devices, "List remembered devices",
              query=DevicesQuery, answer=DevicesAnswer, tag="household"),
        Route("DELETE", "/api/v1/household/devices/{id}", household.forget, "Forget a remembered device",
              status=204, problems=(Code.NOT_FOUND,), tag="household"),
        Route("PUT", "/api/v1/libraries/{id}/access/{user_id}", account.grant, "Grant access to a library",
              access=Access.ADMIN, status=204, problems=(Code.NOT_FOUND,), tag="users"),
        Route("DELETE", "/api/v1/libraries/{id}/access/{user_id}", account.revoke, "Revoke access to a library",
              access=Access.ADMIN, status=204, problems=(Code.NOT_FOUND,), tag="users"),
        # Catalogue
        Route("GET", "/api/v1/libraries", catalogue.list_libraries, "List libraries",
              answer=LibrariesAnswer, tag="catalogue"),
        Route("GET", "/api/v1/items", catalogue.list_items, "List items",
              query=ItemsQuery, answer=ItemsAnswer, problems=_ITEM, tag="catalogue"),
        Route("GET", "/api/v1/items/{id}", catalogue.read_item, "Read an item",
              answer=ItemDetailAnswer, problems=_ITEM, tag="catalogue"),
        Route("GET", "/api/v1/items/{id}/episodes", catalogue.list_episodes, "List the episodes of a show",
              query=EpisodesQuery, answer=ItemsAnswer, problems=_ITEM, tag="catalogue"),
        Route("GET", "/api/v1/items/{id}/artwork", artwork.read, "A picture of an item",
              query=ArtworkQuery, more_statuses=(304,), media_types=(ARTWORK_MEDIA_TYPE,), problems=_ITEM,
              tag="catalogue", caching=Caching.AN_HOUR),
        Route("GET", "/api/v1/stream/movie/{id}", stream.movie, "Stream a movie",
              more_statuses=(206, 304), media_types=MEDIA_TYPES, problems=_STREAM, tag="catalogue",
              bounded=False, caching=Caching.REVALIDATE),
        Route("GET", "/api/v1/stream/episode/{id}", stream.episode, "Stream an episode",
              more_statuses=(206, 304), media_types=MEDIA_TYPES, problems=_STREAM, tag="catalogue",
              bounded=False, caching=Caching.REVALIDATE),
        Route("GET", "/api/v1/stream/file/{id}", stream.file, "Stream one file",
              more_statuses=(206, 304), media_types=MEDIA_TYPES, problems=_STREAM, tag="catalogue",
              bounded=False, caching=Caching.REVALIDATE),
        Route("GET", "/api/v1/stream/file/{id}/subtitles/{index}", subtitles.read, "Subtitles of a file",
              more_statuses=(304,), media_types=(SUBTITLES_MEDIA_TYPE,), problems=_ITEM, tag="catalogue",
              bounded=False, caching=Caching.REVALIDATE),
        Route("POST", "/api/v1/libraries", catalogue.add_library, "Add a library",
              access=Access.ADMIN, request=LibraryRequest, answer=LibraryAnswer, status=201,
              problems=(Code.CONFLICT, Code.LIMIT_REACHED),
              tag="catalogue"),
        Route("POST", "/api/v1/libraries/{id}/scan", catalogue.scan, "Scan a library",
              access=Access.ADMIN, answer=LibraryAnswer, status=202, problems=(Code.NOT_FOUND, Code.CONFLICT),
              tag="catalogue"),
        Route("POST", "/api/v1/catalogue/import", importing.run, "Import a catalogue",
              access=Access.ADMIN, request=ImportLine, media_types=(MEDIA_TYPE,), body_required=False,
              answer=ImportAnswer, tag="catalogue", body_max_bytes=None),
        # Corrections
        Route("POST", "/api/v1/items/{id}/merge", correction.merge, "Merge another item into this one",
              access=Access.ADMIN, request=MergeRequest, answer=MergedAnswer,
              problems=(Code.NOT_FOUND, Code.CONFLICT), tag="corrections"),
        Route("POST", "/api/v1/items/{id}/tell-apart", correction.tell_apart, "Say that two items are two titles",
              access=Access.ADMIN, request=TellApartRequest, status=204, problems=(Code.NOT_FOUND,), tag="corrections"),
        Route("POST", "/api/v1/items/{id}/split", correction.split, "Make another item of some files",
              access=Access.ADMIN, request=SplitRequest, answer=ItemAnswer,
              problems=(Code.NOT_FOUND, Code.CONFLICT), tag="corrections"),
        Route("PATCH", "/api/v1/items/{id}", correction.change_item, "Correct an item",
              access=Access.ADMIN, request=ItemChange, answer=ChangedItemMembersAnswer,
              problems=(Code.NOT_FOUND, Code.CONFLICT), tag="corrections"),
        Route("GET", "/api/v1/files/{id}/identity", correction.read_identity, "Show what a file is",
              access=Access.ADMIN, answer=IdentityAnswer, problems=(Code.NOT_FOUND,), tag="corrections"),
        Route("PUT", "/api/v1/files/{id}/identity", correction.identify, "Say what a file is",
              access=Access.ADMIN, request=IdentityRequest, answer=IdentityAnswer, problems=(Code.NOT_FOUND,),
              tag="corrections"),
        Route("DELETE", "/api/v1/files/{id}/identity", correction.release, "Leave a file to its name again",
              access=Access.ADMIN, status=204, problems=(Code.NOT_FOUND,), tag="corrections"),
        Route("PATCH", "/api/v1/libraries/{id}", correction.change_library, "Rename or move a library",
              access=Access.ADMIN, request=LibraryChange, answer=LibraryAnswer,
              problems=(Code.NOT_FOUND, Code.CONFLICT), tag="corrections"),
        Route("DELETE", "/api/v1/libraries/{id}", correction.remove_library, "Remove a library",
              access=Access.ADMIN, query=RemovalQuery, status=204, problems=(Code.NOT_FOUND, Code.CONFLICT),
              tag="corrections"),
        Route("DELETE", "/api/v1/libraries/{id}/items/{item}", correction.end_holding,
              "Take an item out of a library",
              access=Access.ADMIN, status=204, problems=(Code.NOT_FOUND,), tag="corrections"),
        Route("GET", "/api/v1/audit", correction.list_audit, "List the acts of admins",
              access=Access.ADMIN, query=AuditQuery, answer=AuditAnswer, tag="corrections"),
        Route("POST", "/api/v1/audit/{id}/undo", correction.undo, "Undo an act",
              access=Access.ADMIN, status=204, problems=(Code.NOT_FOUND, Code.CONFLICT), tag="corrections"),
        # Service
        Route("GET", "/livez", service.live, "Check that the process runs",
              access=Access.ANYONE, answer=StatusAnswer, tag="service", hot=True),
        Route("GET", "/readyz", service.ready, "Check that the server can write",
              access=Access.ANYONE, answer=StatusAnswer, problems=(Code.UNAVAILABLE,), tag="service", bounded=False),
        Route("GET", "/metrics", metrics.read, "Metrics for Prometheus",
              access=Access.ANYONE, media_types=(METRICS_MEDIA_TYPE,), tag="service", bounded=False),
        Route("GET", "/api/openapi.json", service.openapi, "This document",
              access=Access.ANYONE, answer=dict[str, Any], tag="service"),
        Route("GET", "/api/v1/noop", read_noop, "Answer like a read, without the store",
              answer=ProgressAnswer, tag="service", hot=True, need=ScopeNeed.READ_PROGRESS),
        Route("POST", "/api/v1/noop", save_noop, "Answer like a save, without the store",
              request=SaveRequest, media_types=_JSON_OR_BEACON, answer=ProgressAnswer, tag="service", hot=True,
              need=ScopeNeed.REPORT),
        # Pages. Anonymous visitors are redirected to the sign-in page.
        page("GET", "/", home.show, "Home"),
        page("GET", "/history", pages.visited(history.show), "What was watched"),
        page("POST", "/history/{id}/remove", pages.visited(history.remove_play), "Remove a play"),
        page("GET", "/statistics", pages.visited(statistics_pages.show), "A year in review"),
        page("GET", "/watch/movie/{id}", watch.movie, "Player of a movie"),
        page("GET", "/watch/episode/{id}", watch.episode, "Player of an episode"),
        page("GET", "/libraries/{id}", pages.visited(library_pages.show), "What is in a library"),
        page("GET", "/search", pages.visited(library_pages.search), "Search in all libraries"),
        page("GET", "/movies/{id}", pages.visited(item.show_movie), "A movie"),
        page("POST", "/movies/{id}", pages.visited(act.on(ItemKind.MOVIE)), "Mark, hide, … a movie"),
        page("GET", "/episodes/{id}", pages.visited(item.show_episode), "An episode"),
        page("POST", "/episodes/{id}", pages.visited(act.on(ItemKind.EPISODE)), "Mark, hide, … an episode"),
        page("GET", "/shows/{id}", pages.visited(item.show_show), "A show"),
        page("POST", "/shows/{id}", pages.visited(act.on(ItemKind.SHOW)), "Mark, hide, drop, … a show"),
        page("GET", "/shows/{id}/seasons/{season}", pages.visited(item.show_season), "A season of a show"),
        page("POST", "/shows/{id}/seasons/{season}", pages.visited(act.on(ItemKind.SHOW)), "Mark a season"),
        page("POST", "/undo", pages.visited(act.undo), "Undo marks"),
        page("GET", "/settings", pages.visited(settings.show), "Settings of the user"),
        page("POST", "/settings/password", pages.visited(settings.change_password), "Change one's own password"),
        page("POST", "/settings/time-zone", pages.visited(settings.set_time_zone), "Choose a time zone"),
        page("POST", "/settings/language", pages.visited(settings.set_language), "Choose a language"),
        page("POST", "/settings/sessions/{id}/end", pages.visited(settings.end_session), "Sign a device out"),
        page("POST", "/settings/sessions/end-others", pages.visited(settings.end_other_sessions),
             "Sign all other devices out"),
        page("POST", "/settings/tokens", pages.visited(settings.create_token), "Create an API token"),
        page("POST", "/settings/tokens/{id}/revoke", pages.visited(settings.revoke_token), "Revoke an API token"),
        page("GET", "/settings/sign-in", pages.visited(sign_in_settings.show), "Ways to sign in"),
        page("POST", "/settings/sign-in/proxy", pages.visited(sign_in_settings.link_proxy),
             "Link the identity at the proxy"),
        page("POST", "/settings/sign-in/passkeys/begin", pages.visited(passkey_settings.begin),
             "Options for a new passkey"),
        page("POST", "/settings/sign-in/passkeys", pages.visited(passkey_settings.add), "Add a passkey"),
        page("POST", "/settings/sign-in/passkeys/{id}/rename", pages.visited(passkey_settings.rename),
             "Rename a passkey"),
        page("POST", "/settings/sign-in/passkeys/{id}/remove", pages.visited(passkey_settings.remove),
             "Remove a passkey"),
        page("POST", "/settings/sign-in/factors", pages.visited(passkey_settings.set_factors),
             "Require password and passkey, or one of them"),
        page("POST", "/settings/sign-in/recovery-codes", pages.visited(passkey_settings.renew_codes),
             "Create new recovery codes"),
        page("POST", "/settings/sign-in/openid", pages.visited(openid.begin_link),
             "Redirect to the provider, to link an identity"),
        page("POST", "/settings/sign-in/identities/{id}/unlink", pages.visited(sign_in_settings.unlink),
             "Unlink an identity"),
        admin_page("GET", "/admin", pages.visited(admin.show), "Overview of administration"),
        admin_page("GET", "/admin/playing", pages.visited(admin.show_playing), "What everybody is playing"),
        admin_page("GET", "/admin/health", pages.visited(health.show), "Health of the server"),
        admin_page("GET", "/admin/libraries", pages.visited(library_admin.show_all), "Libraries and their scans"),
        admin_page("GET", "/admin/libraries/new", pages.visited(library_admin.show_form), "Form for a library"),
        admin_page("POST", "/admin/libraries/new", pages.visited(library_admin.add), "Add and scan a library"),
        admin_page("GET", "/admin/libraries/{id}", pages.visited(library_admin.show), "A library and its scan"),
        admin_page("POST", "/admin/libraries/{id}", pages.visited(library_admin.rename), "Rename a library"),
        admin_page("POST", "/admin/libraries/{id}/move", pages.visited(library_admin.move), "Move a library"),
        admin_page("GET", "/admin/libraries/{id}/remove", pages.visited(library_admin.show_removal),
                   "Ask before removing a library"),
        admin_page("POST", "/admin/libraries/{id}/remove", pages.visited(library_admin.remove), "Remove a library"),
        admin_page("GET", "/admin/libraries/{id}/files", pages.visited(corrections.review),
                   "Files that were skipped or guessed"),
        admin_page("GET", "/admin/corrections", pages.visited(corrections.show_corrections),
                   "What may be one title, and what was corrected"),
        admin_page("POST", "/admin/corrections/{id}/undo", pages.visited(corrections.undo), "Undo a correction"),
        admin_page("GET", "/admin/items/{id}", pages.visited(corrections.show_item), "Correct an item"),
        admin_page("POST", "/admin/items/{id}", pages.visited(corrections.change_item), "Change, merge, split an item"),
        admin_page("GET", "/admin/files/{id}", pages.visited(corrections.show_file), "What a file is"),
        admin_page("POST", "/admin/files/{id}", pages.visited(corrections.change_file), "Say what a file is"),
        admin_page("POST", "/admin/libraries/{id}/scan", pages.visited(library_admin.scan), "Scan a library"),
        admin_page("GET", "/admin/users", pages.visited(user_admin.show_all), "Users"),
        admin_page("GET", "/admin/users/new", pages.visited(user_admin.show_form), "Form for a user"),
        admin_page("POST", "/admin/users/new", pages.visited(user_admin.add), "Add a user"),
        admin_page("GET", "/admin/users/{id}", pages.visited(user_admin.show), "A user"),
        admin_page("POST", "/admin/users/{id}/name", pages.visited(user_admin.rename), "Rename a user"),
        admin_page("POST", "/admin/users/{id}/role", pages.visited(user_admin.set_role), "Change a user's role"),
        admin_page("POST", "/admin/users/{id}/password", pages.visited(user_admin.set_password), "Set a password"),
        admin_page("POST", "/admin/users/{id}/pin", pages.visited(user_admin.set_pin), "Set a PIN"),
        admin_page("POST", "/admin/users/{id}/tokens", pages.visited(user_admin.create_token), "Create an API token"),
        admin_page("POST", "/admin/users/{id}/libraries", pages.visited(user_admin.set_grants), "Change what they see"),
        admin_page("POST", "/admin/users/{id}/passkeys/remove", pages.visited(passkey_settings.remove_all),
                   "Remove a user's passkeys"),
        admin_page("GET", "/admin/users/{id}/remove", pages.visited(user_admin.show_removal), "Ask before removing"),
        admin_page("POST", "/admin/users/{id}/remove", pages.visited(user_admin.remove), "Remove a user"),
        page("GET", "/household", pages.visited(household_pages.show), "This device, its people and the user's PIN"),
        page("POST", "/household", pages.visited(household_pages.change), "Remember this device, set a PIN, …"),
        page("GET", "/household/people/{id}", household_pages.show_person, "What a tile requires", Access.ANYONE),
        page("POST", "/household/people/{id}", household_pages.enter, "Sign in at a tile", Access.ANYONE),
        page("GET", "/activate", pages.visited(activate.show), "Form for the code on a device's screen"),
        page("POST", "/activate", pages.visited(activate.find), "Ask whether a device may sign in"),
        page("POST", "/activate/decide", pages.visited(activate.decide), "Approve or deny a device"),
        page("GET", "/tv", television.show, "Codes on the screen of a television", Access.ANYONE),
        page("POST", "/tv", television.begin, "Get codes for a television", Access.ANYONE),
        page("POST", "/tv/continue", television.go_on, "Sign a television in once it is approved", Access.ANYONE),
        page("GET", "/setup", entrance.show_setup, "Form for the first admin", Access.ANYONE),
        page("POST", "/setup", entrance.set_up, "Create the first admin", Access.ANYONE),
        page("GET", "/sign-in", entrance.show_sign_in, "Form to sign in", Access.ANYONE),
        page("POST", "/sign-in", entrance.sign_in, "Sign in", Access.ANYONE),
        page("POST", "/sign-in/passkey/begin", passkey.begin, "Options for a sign-in with a passkey", Access.ANYONE),
        page("POST", "/sign-in/passkey", passkey.finish, "Sign in with a passkey", Access.ANYONE),
        page("POST", "/sign-in/second", passkey.finish_second, "Sign in with a second factor", Access.ANYONE),
        page("GET", "/sign-in/openid", openid.begin, "Redirect to the provider to sign in", Access.ANYONE),
        page("GET", "/sign-in/openid/return", openid.finish, "Return from the provider", Access.ANYONE),
        page("POST", "/sign-out", entrance.sign_out, "Sign out", Access.ANYONE),
        page("GET", "/api/docs", api.show, "The API for people", Access.ANYONE),
        page("GET", "/api/docs/schemas", api.show_schemas, "The schemas of the API", Access.ANYONE),
    ]
    # fmt: on
    rows[:] = [replace(row, watching=f"{row.method} {row.path}" in _WATCHING) for row in rows]
    return rows


def _mark_routes(kind: str, mark: MarkRoutes) -> list[Route]:
    """Return the rows that movies and episodes share."""
    path, article = f"/api/v1/playback/{kind}/{{id}}", "an" if kind == "episode" else "a"
    item = f"{article} {kind}"
    # fmt: off
    return [
        Route("GET", f"{path}/state", mark.read, f"Read the whole watch state of {item}",
              answer=StateAnswer, problems=_ITEM, tag="watch state", need=ScopeNeed.READ_PROGRESS),
        Route("DELETE", path, mark.forget, f"Forget {item}", status=204, problems=_ITEM, tag="watch state"),
        Route("PUT", f"{path}/watched", mark.mark, f"Mark {item} as watched",
              request=WatchedRequest, media_types=_JSON_OR_BEACON, body_required=False, answer=StateAnswer,
              problems=_LIMITED, tag="watch state"),
        Route("DELETE", f"{path}/watched", mark.unwatch, f"Mark {item} as unwatched",
              answer=StateAnswer, problems=_ITEM, tag="watch state"),
        Route("GET", f"{path}/plays", mark.list_plays, f"List the plays of {item}",
              query=PlaysQuery, answer=PlaysAnswer, problems=_ITEM, tag="watch state", need=ScopeNeed.READ_PROGRESS),
        Route("DELETE", f"{path}/plays/{{play_id}}", mark.remove_play, f"Remove a play of {item}",
              status=204, problems=_ITEM, tag="watch state"),
        Route("GET", f"{path}/positions", mark.list_positions, f"List the kept points of {item}",
              answer=PositionsAnswer, problems=_ITEM, tag="watch state", need=ScopeNeed.READ_PROGRESS),
        Route("POST", f"{path}/positions/{{position_id}}/restore", mark.restore, f"Restore a kept point of {item}",
              answer=StateAnswer, problems=_ITEM, tag="watch state"),
    ]
    # fmt: on
