"""Administration, as a browser without scripts uses it: libraries, users, and what everybody is playing."""

import asyncio
import json
import re
import shutil
from html import unescape
from pathlib import Path

import pytest
from sqlalchemy import Connection, update

from clips import write_clip
from pages import Seen, enter, submit
from playhead.domain.accounts import User
from playhead.domain.model import Instant, LibraryId, LibraryKind, Role, UserId
from playhead.http.route import Access
from playhead.services.access import Viewer
from playhead.services.catalogue import LibraryView
from playhead.storage import scanning, schema
from world import LIBRARY, MOVIE, NOWHERE, PASSWORD, World

pytestmark = pytest.mark.anyio

PLACES = ("/admin", "/admin/libraries", "/admin/users", "/admin/corrections", "/admin/playing", "/admin/health")
FORMS = ("/admin/libraries/new", "/admin/users/new")


def text_of(html: str) -> str:
    """The text of a page, in one line."""
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", html)).split())


def faulty(html: str) -> set[str]:
    return set(re.findall(r'name="(\w+)"[^>]*aria-invalid', html))


async def views(world: World) -> list[LibraryView]:
    catalogue = world.playhead.installation.catalogue
    viewer = Viewer(UserId(world.user_ids["admin"]), (await account(world, "admin")).role)
    return await catalogue.list_libraries(viewer)


async def account(world: World, name: str) -> User:
    return await world.playhead.installation.accounts.find_user(UserId(world.user_ids[name]))


async def status_of(world: World, headers: dict[str, str]) -> int:
    world.client.cookies.clear()
    return (await world.client.get("/api/v1/me", headers=headers)).status_code


# Access


async def test_administration_is_for_admins_only(stocked: World):
    await enter(stocked)
    routes = [route for route in stocked.playhead.table if route.path.startswith("/admin")]
    assert {route.access for route in routes} == {Access.ADMIN}
    for path in (*PLACES, *FORMS, f"/admin/libraries/{LIBRARY}", f"/admin/users/{stocked.user_ids['admin']}"):
        answer = await stocked.client.get(path)
        assert answer.status_code == 403, path
        assert "You do not have access" in answer.text
        assert "Films" not in answer.text.replace(">Films</a>", "")  # except for the member's own navigation
    assert "Administration" not in (await stocked.client.get("/")).text


@pytest.mark.parametrize("place", [*PLACES, *FORMS])
async def test_an_admin_can_reach_every_page_of_administration_from_every_other(world: World, place: str):
    await enter(world, "admin")
    page = await world.client.get(place)
    assert page.status_code == 200
    assert {*PLACES} <= {*Seen(page.text).references}
    assert page.text.count('aria-current="page"') >= 1
    assert len(Seen(page.text).ids) == len({*Seen(page.text).ids})


# Libraries


@pytest.fixture
def films(tmp_path: Path) -> Path:
    folder = tmp_path / "films"
    write_clip(folder / "Arrival Hall (2001).mkv", 2)
    (folder / "Broken (2002).mkv").write_bytes(b"no film")
    (folder / "Extras").mkdir()
    (folder / ".hidden").mkdir()
    return folder


async def scanned(world: World, path: str) -> str:
    """Wait until no scan is running, and return the page."""
    for _ in range(600):
        page = (await world.client.get(path)).text
        if "Scanning:" not in page and "Being scanned" not in page:
            return page
    raise TimeoutError(page)


async def test_a_library_is_added_with_a_chosen_folder_and_its_scan_is_shown(world: World, films: Path):
    await enter(world, "admin")
    assert "There are no libraries yet." in (await world.client.get("/admin/libraries")).text
    form = await world.client.get("/admin/libraries/new", params={"name": "Kino", "kind": "movies", "folder": films})
    assert Seen(form.text).fields["name"]["value"] == "Kino"
    assert Seen(form.text).fields["path"]["value"] == str(films)
    assert re.findall(r'name="folder" value="([^"]+)"', form.text) == [str(films.parent), str(films / "Extras")]
    answer = await submit(world.client, "/admin/libraries/new", name="Kino", kind="movies", path=str(films))
    assert answer.status_code == 303
    path = answer.headers["location"]
    assert re.fullmatch(r"/admin/libraries/[0-9a-f-]{36}\?added=1", path)
    page = await scanned(world, path)
    assert "1 file added, 1 file skipped" in text_of(page)
    assert "Go home" in page
    assert "1 movie" in page
    assert re.search(r"Broken \(2002\)\.mkv</td><td>[A-Z].*\.</td>", page)
    listed = text_of((await world.client.get("/admin/libraries")).text)
    assert "Kino 1 movie" in listed
    assert str(films) in listed


async def test_a_library_shows_which_files_and_titles_its_last_scan_found_to_be_others(stocked: World):
    report = {
        "reassigned": 2,
        "reassigned_files": [("Trilogy/<Two>.mkv", "Trilogy", "Two (2004)")],
        "merged": 1,
        "merged_titles": [("Alien EXTENDED (1979)", "Alien (1979)")],
    }

    def store(connection: Connection) -> None:
        connection.execute(update(schema.library).values(path="/srv/films"))
        scanning.store_report(connection, LibraryId(LIBRARY), json.dumps(report), Instant(1))

    await stocked.playhead.installation.database.write(store)
    await enter(stocked, "admin")
    page = text_of((await stocked.client.get(f"/admin/libraries/{LIBRARY}")).text)
    assert "2 files have another title now, 1 title merged" in page
    assert "The first 2: File Before Now Trilogy/<Two>.mkv Trilogy Two (2004) Merged Alien EXTENDED" in page


@pytest.mark.parametrize(
    ("fields", "status", "field", "said"),
    [
        ({"name": " "}, 422, "name", "Must have 1 to 64 characters."),
        ({"name": "Films"}, 409, "name", "This name is taken."),
        ({"kind": "songs"}, 422, "kind", "Must be movies or shows."),
        ({"path": ""}, 422, "path", "Must be chosen."),
        ({"path": "/no/such/folder"}, 422, "path", "Must be an existing folder that can be read."),
        ({"path": "\0"}, 422, "path", "Must be an existing folder that can be read."),
    ],
)
async def test_a_faulty_library_is_refused_next_to_its_field(
    stocked: World, films: Path, fields: dict[str, str], status: int, field: str, said: str
):
    await enter(stocked, "admin")
    right = {"name": "Kino", "kind": "movies", "path": str(films)}
    answer = await submit(stocked.client, "/admin/libraries/new", **(right | fields))
    assert answer.status_code == status
    assert faulty(answer.text) == {field}
    assert said in answer.text
    assert {*Seen(answer.text).described_by} <= {*Seen(answer.text).ids}
    assert [view.library.name for view in await views(stocked)] == ["Films"]


async def test_a_folder_of_another_library_is_refused_next_to_the_folder(world: World, films: Path):
    await world.playhead.installation.catalogue.add_library("Kino", LibraryKind.MOVIES, films)
    await enter(world, "admin")
    path = str(films / "Extras")
    answer = await submit(world.client, "/admin/libraries/new", name="More", kind="movies", path=path)
    assert answer.status_code == 409
    assert faulty(answer.text) == {"path"}
    assert "The folder belongs to another library, or contains one." in answer.text


@pytest.mark.parametrize(
    "lost", ["/no/such/folder", "relative/to/nothing", "\0", "~nobody-of-this-name/x", "/etc/passwd"]
)
async def test_the_path_to_a_missing_folder_leads_to_an_existing_one(world: World, lost: str):
    await enter(world, "admin")
    form = await world.client.get("/admin/libraries/new", params={"folder": lost})
    assert form.status_code == 200
    assert 'class="folders"' in form.text
    assert 'class="fault"' in form.text


async def test_a_library_is_renamed_and_a_faulty_name_refused_next_to_its_field(stocked: World):
    await enter(stocked, "admin")
    path = f"/admin/libraries/{LIBRARY}"
    answer = await submit(stocked.client, path, name="Kino")
    assert (answer.status_code, answer.headers["location"]) == (303, f"{path}?done=renamed")
    assert "The library has been renamed." in (await stocked.client.get(answer.headers["location"])).text
    assert [view.library.name for view in await views(stocked)] == ["Kino"]
    await stocked.playhead.installation.catalogue.add_library("Other", LibraryKind.SHOWS, None)
    for name, status in (("", 422), ("Other", 409), (LIBRARY, 422)):
        answer = await submit(stocked.client, path, name=name)
        assert answer.status_code == status
        assert faulty(answer.text) == {"name"}


async def test_a_library_without_a_folder_is_not_scanned_and_a_missing_one_not_found(stocked: World):
    await enter(stocked, "admin")
    assert "/scan" not in (await stocked.client.get("/admin/libraries")).text
    answer = await submit(stocked.client, f"/admin/libraries/{LIBRARY}/scan")
    assert answer.status_code == 409
    assert "The library Films has no folder: its items are imported." in answer.text
    for path in (f"/admin/libraries/{NOWHERE}/scan", f"/admin/libraries/{NOWHERE}", "/admin/libraries/x"):
        assert (await submit(stocked.client, path, name="x")).status_code == 404
    assert (await stocked.client.get(f"/admin/libraries/{NOWHERE}")).status_code == 404


async def test_pages_show_that_a_library_is_watched_and_when_it_is_scanned_next(world: World, films: Path):
    library = await world.playhead.installation.catalogue.add_library("Kino", LibraryKind.MOVIES, films)
    await enter(world, "admin")
    async with asyncio.timeout(60):
        while "Watched for changes. Next scan " not in (await world.client.get("/admin/libraries")).text:  # noqa: ASYNC110 - as a browser does
            await asyncio.sleep(0.05)
    assert "Watched for changes" in (await world.client.get(f"/admin/libraries/{library.id}")).text


async def test_a_scan_is_started_from_the_list_and_leads_back_to_it(world: World, films: Path):
    library = await world.playhead.installation.catalogue.add_library("Kino", LibraryKind.MOVIES, films)
    await enter(world, "admin")
    assert "Not scanned yet" in (await world.client.get("/admin/libraries")).text
    path = f"/admin/libraries/{library.id}/scan"
    answer = await submit(world.client, path, back="/admin/libraries")
    assert (answer.status_code, answer.headers["location"]) == (303, "/admin/libraries")
    assert "1 file added, 1 file skipped" in await scanned(world, "/admin/libraries")
    answer = await submit(world.client, path, back="https://elsewhere.test/")
    assert answer.headers["location"] == f"/admin/libraries/{library.id}"
    await scanned(world, "/admin/libraries")


async def test_a_library_is_not_scanned_twice_concurrently(world: World, films: Path):
    installation = world.playhead.installation
    library = await installation.catalogue.add_library("Kino", LibraryKind.MOVIES, films)
    now = world.clock()
    until = type(now)(now + 60_000)
    assert await installation.database.write(lambda c: scanning.take_lease(c, library.id, NOWHERE, now, until))
    await enter(world, "admin")
    answer = await submit(world.client, f"/admin/libraries/{library.id}/scan")
    assert answer.status_code == 409
    assert "The library Kino is being scanned already." in answer.text


async def test_a_failed_scan_says_why(world: World, films: Path):
    library = await world.playhead.installation.catalogue.add_library("Kino", LibraryKind.MOVIES, films)
    shutil.move(films, films.with_name("elsewhere"))
    await enter(world, "admin")
    await submit(world.client, f"/admin/libraries/{library.id}/scan")
    page = text_of(await scanned(world, f"/admin/libraries/{library.id}"))
    assert "The last scan failed: The folder" in page
    assert "cannot be read: No such file or directory" in page


# Users


async def test_a_user_is_added_with_the_checked_libraries(stocked: World):
    await enter(stocked, "admin")
    form = Seen((await stocked.client.get("/admin/users/new")).text)
    assert f"library-{LIBRARY}" in form.fields.keys() & form.labels
    fields = {"username": "Ben", "password": PASSWORD, "role": "member", f"library-{LIBRARY}": "on"}
    answer = await submit(stocked.client, "/admin/users/new", **fields)
    assert answer.status_code == 303
    page = await stocked.client.get(answer.headers["location"])
    assert "The user has been added." in page.text
    assert "checked" in Seen(page.text).fields[f"library-{LIBRARY}"]
    ben = await stocked.playhead.installation.accounts.find_user_named("ben")
    assert ben.role.value == "member"
    assert await stocked.playhead.installation.accounts.list_grants(ben.id) == {LIBRARY}
    assert ">Ben</a>" in (await stocked.client.get("/admin/users")).text


@pytest.mark.parametrize(
    ("fields", "status", "field", "said"),
    [
        ({"username": ""}, 422, "username", "Must have 1 to 64 characters."),
        ({"username": "MEMBER"}, 409, "username", "User name is taken."),
        ({"password": "short"}, 422, "password", "Must have 8 to 128 characters."),
    ],
)
async def test_a_faulty_user_is_refused_next_to_the_field_and_keeps_the_input(
    stocked: World, fields: dict[str, str], status: int, field: str, said: str
):
    await enter(stocked, "admin")
    right = {"username": "Ben", "password": PASSWORD, "role": "admin", f"library-{LIBRARY}": "on"}
    answer = await submit(stocked.client, "/admin/users/new", **(right | fields))
    assert answer.status_code == status
    assert faulty(answer.text) == {field}
    assert said in answer.text
    assert "checked" in Seen(answer.text).fields[f"library-{LIBRARY}"]
    assert '<option value="admin" selected>' in answer.text
    assert PASSWORD not in answer.text
    assert len(await stocked.playhead.installation.accounts.list_users()) == 3


async def test_a_user_sees_exactly_the_checked_libraries(stocked: World):
    accounts = stocked.playhead.installation.accounts
    other = await stocked.playhead.installation.catalogue.add_library("Other", LibraryKind.SHOWS, None)
    await enter(stocked, "admin")
    path = f"/admin/users/{stocked.user_ids['member']}"
    page = Seen((await stocked.client.get(path)).text)
    assert {name for name, values in page.fields.items() if "checked" in values} == {f"library-{LIBRARY}"}
    answer = await submit(stocked.client, f"{path}/libraries", **{f"library-{other.id}": "on", "library-x": "on"})
    assert (answer.status_code, answer.headers["location"]) == (303, f"{path}?done=libraries")
    assert await accounts.list_grants(UserId(stocked.user_ids["member"])) == {other.id}
    await submit(stocked.client, f"{path}/libraries")
    assert await accounts.list_grants(UserId(stocked.user_ids["member"])) == frozenset[LibraryId]()


async def test_more_libraries_than_a_form_usually_has_fields_can_be_checked(world: World):
    catalogue = world.playhead.installation.catalogue
    made = [await catalogue.add_library(f"Shelf {number}", LibraryKind.SHOWS, None) for number in range(30)]
    await enter(world, "admin")
    ticked = {f"library-{library.id}": "on" for library in made}
    answer = await submit(world.client, f"/admin/users/{world.user_ids['member']}/libraries", **ticked)
    assert answer.status_code == 303
    granted = await world.playhead.installation.accounts.list_grants(UserId(world.user_ids["member"]))
    assert granted == {library.id for library in made}


async def test_a_user_is_renamed_and_promoted(world: World):
    await enter(world, "admin")
    path = f"/admin/users/{world.user_ids['member']}"
    assert (await submit(world.client, f"{path}/name", username="Maria")).headers["location"] == f"{path}?done=name"
    assert (await submit(world.client, f"{path}/role", role="admin")).headers["location"] == f"{path}?done=role"
    user = await account(world, "member")
    assert (user.name, user.role.value) == ("Maria", "admin")
    answer = await submit(world.client, f"{path}/name", username="stranger")
    assert answer.status_code == 409
    assert faulty(answer.text) == {"username"}
    assert Seen(answer.text).fields["username"]["value"] == "stranger"


async def test_a_password_set_by_an_admin_signs_out_all_devices_of_the_user(world: World):
    answer = await world.client.post("/api/v1/sessions", json={"username": "member", "password": PASSWORD})
    device = {"authorization": f"Bearer {answer.json()['token']}"}
    await enter(world, "admin")
    path = f"/admin/users/{world.user_ids['member']}"
    refused = await submit(world.client, f"{path}/password", password="short")
    assert refused.status_code == 422
    assert faulty(refused.text) == {"password"}
    assert (await submit(world.client, f"{path}/password", password="battery staple")).status_code == 303
    assert await status_of(world, device) == 401
    assert (await submit(world.client, "/sign-in", username="member", password="battery staple")).status_code == 303


async def test_changing_ones_own_password_requires_the_current_one(world: World):
    await enter(world, "admin")
    page = Seen((await world.client.get(f"/admin/users/{world.user_ids['admin']}")).text)
    assert "password" not in page.fields
    assert "/settings" in page.references


async def test_a_user_is_removed_only_after_confirmation(world: World):
    await enter(world, "admin")
    path = f"/admin/users/{world.user_ids['member']}"
    assert f"{path}/remove" in Seen((await world.client.get(path)).text).references
    question = await world.client.get(f"{path}/remove")
    assert "Remove member?" in question.text
    assert "This is your own account." not in question.text
    answer = await submit(world.client, f"{path}/remove")
    assert (answer.status_code, answer.headers["location"]) == (303, "/admin/users?removed=1")
    assert "The user has been removed." in (await world.client.get(answer.headers["location"])).text
    assert (await world.client.get(path)).status_code == 404
    for action in ("remove", "name", "role", "password", "libraries"):
        assert (await submit(world.client, f"{path}/{action}", password=PASSWORD, username="x")).status_code == 404


async def test_the_last_admin_is_neither_removed_nor_demoted(world: World):
    await enter(world, "admin")
    path = f"/admin/users/{world.user_ids['admin']}"
    assert "This is your own account." in (await world.client.get(f"{path}/remove")).text
    removal = await submit(world.client, f"{path}/remove")
    assert removal.status_code == 409
    assert "The last admin cannot be removed." in removal.text
    demotion = await submit(world.client, f"{path}/role", role="member")
    assert demotion.status_code == 409
    assert faulty(demotion.text) == {"role"}
    assert "The last admin cannot be demoted." in demotion.text
    assert (await account(world, "admin")).role.value == "admin"


async def test_a_demoted_admin_is_redirected_home(world: World):
    await enter(world, "admin")
    await submit(world.client, f"/admin/users/{world.user_ids['member']}/role", role="admin")
    answer = await submit(world.client, f"/admin/users/{world.user_ids['admin']}/role", role="member")
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    assert (await world.client.get("/admin")).status_code == 403


# Now playing


async def test_now_playing_shows_who_watches_what_and_how_far(stocked: World):
    report = {"position_seconds": 730, "duration_seconds": 5400, "event": "start", "device": "Television"}
    await enter(stocked, "admin")
    assert "Nobody is watching right now." in (await stocked.client.get("/admin/playing")).text
    headers = stocked.member
    saved = await stocked.client.post(f"/api/v1/playback/movie/{MOVIE}", json=report, headers=headers)
    assert saved.status_code == 200
    page = (await stocked.client.get("/admin/playing")).text
    assert "member Television Harbour Lights" in text_of(page)
    assert "12:10 of 1:30:00" in page
    assert "1 Nobody" not in text_of((await stocked.client.get("/admin")).text)


# Health


@pytest.mark.both_engines
async def test_health_shows_the_findings_of_the_doctor_and_the_activity_of_this_process(stocked: World):
    report = {"position_seconds": 730, "duration_seconds": 5400}
    await stocked.client.post(f"/api/v1/playback/movie/{MOVIE}", json=report, headers=stocked.member)
    stocked.playhead.sampler.look()
    await enter(stocked, "admin")
    answer = await stocked.client.get("/admin/health")
    assert answer.status_code == 200
    page = text_of(answer.text)
    engine = "PostgreSQL" if stocked.playhead.settings.database_url else "SQLite"
    assert "OK: Playhead 0." in page
    assert re.search(rf"{engine} \d+\.\d+", page)
    assert answer.text.count('<svg viewBox="0 0 360') == (9 if engine == "PostgreSQL" else 10)
    assert "Saves per commit, mean 1.0 peak 1.0" in page
    assert "Several processes" not in page
    assert len(answer.content) < 100_000


async def test_a_bad_finding_says_what_to_do(stocked: World, tmp_path: Path):
    folder = tmp_path / "gone"
    folder.mkdir()
    await stocked.playhead.installation.catalogue.add_library("Kino", LibraryKind.MOVIES, folder)
    folder.rmdir()
    await enter(stocked, "admin")
    page = text_of((await stocked.client.get("/admin/health")).text)
    assert f"Warning: The library's folder {folder} cannot be read Mount it or fix its permissions." in page
    assert "Something" in page


async def test_health_shows_the_backups_and_how_to_restore_one(stocked: World):
    await enter(stocked, "admin")
    backups = stocked.playhead.installation.backups
    if backups is None:
        page = text_of((await stocked.client.get("/admin/health")).text)
        assert "PostgreSQL has its own backup tools" in page
        assert "pg_dump" in page
        return
    page = text_of((await stocked.client.get("/admin/health")).text)
    assert "Last none yet Next within a minute Kept 0 of at most 7, 0 B" in page
    assert "playhead db restore" in page
    await backups.look()
    page = text_of((await stocked.client.get("/admin/health")).text)
    settings = stocked.playhead.settings
    [made] = settings.backup_path.iterdir()
    assert re.search(r"Last today at \d\d:\d\d ?, \d+ KiB Next tomorrow at \d\d:\d\d Kept 1 of at most 7", page)
    assert f"playhead db restore {made} \\ --database sqlite:///{settings.database_path}" in page


async def test_health_says_why_no_backup_could_be_made(stocked: World):
    backups = stocked.playhead.installation.backups
    if backups is None:
        assert stocked.playhead.settings.database_url
        return
    stocked.playhead.settings.backup_path.write_bytes(b"in the way")
    await backups.look()
    await enter(stocked, "admin")
    page = text_of((await stocked.client.get("/admin/health")).text)
    assert "The last backup failed: The folder of backups" in page


async def test_disks_are_not_examined_on_every_refresh_of_the_page(stocked: World, tmp_path: Path):
    folder = tmp_path / "films"
    folder.mkdir()
    await stocked.playhead.installation.catalogue.add_library("Kino", LibraryKind.MOVIES, folder)
    await enter(stocked, "admin")
    assert str(folder) not in (await stocked.client.get("/admin/health")).text
    folder.rmdir()
    stocked.clock.advance(10_000)
    assert str(folder) not in (await stocked.client.get("/admin/health")).text
    stocked.clock.advance(50_000)
    assert str(folder) in (await stocked.client.get("/admin/health")).text


# API tokens of users


async def test_an_admin_makes_a_token_for_a_user_who_finds_it_in_their_settings(world: World):
    await enter(world, "admin")
    path = f"/admin/users/{world.user_ids['member']}"
    page = (await submit(world.client, f"{path}/tokens", token_name="Living room")).text
    secret = Seen(page).fields["secret"]["value"]
    assert secret
    assert secret not in (await world.client.get(path)).text
    assert "API token created: Living room (member)" in text_of((await world.client.get("/admin/corrections")).text)
    assert await status_of(world, {"authorization": f"Bearer {secret}"}) == 200
    await enter(world)
    assert "Living room" in text_of((await world.client.get("/settings")).text)


async def test_a_token_without_a_name_is_refused_beside_its_field(world: World):
    await enter(world, "admin")
    answer = await submit(world.client, f"/admin/users/{world.user_ids['member']}/tokens", token_name=" ")
    assert (answer.status_code, faulty(answer.text)) == (422, {"token_name"})


async def test_no_token_is_offered_for_a_child_or_for_oneself(world: World):
    await enter(world, "admin")
    made = await world.playhead.installation.accounts.create_user("kim", PASSWORD, Role.CHILD)
    for user_id in (made.id, world.user_ids["admin"]):
        assert "token_name" not in (await world.client.get(f"/admin/users/{user_id}")).text
    assert (await submit(world.client, f"/admin/users/{made.id}/tokens", token_name="x")).status_code == 409
