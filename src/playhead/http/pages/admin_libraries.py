"""Administration of libraries: add one with a chosen folder of the server, scan it, and follow the scan."""

from collections.abc import Mapping, Sequence

from starlette.responses import Response

from playhead.domain.accounts import NAME_LENGTH_MAX
from playhead.domain.catalogue import TitlesOnRemoval
from playhead.domain.model import LibraryKind
from playhead.errors import Code, PlayheadError
from playhead.http.api.accounts import library_id_of
from playhead.http.errors import STATUS
from playhead.http.pages.page import Pages, Visit, form_faults, read_form, redirect, way_back
from playhead.http.pages.translations import deferred, gettext, text_of
from playhead.services.auto_scanning import AutoScans
from playhead.services.catalogue import Catalogue
from playhead.services.folders import look_around
from playhead.services.libraries import Libraries
from playhead.services.scanning import Scanner

_KINDS = ((LibraryKind.MOVIES.value, deferred("Movies")), (LibraryKind.SHOWS.value, deferred("Shows")))

_DONE = {
    "renamed": deferred("The library has been renamed."),
    "moved": deferred("The library has been moved, and is being scanned."),
    "removed": deferred("The library has been removed."),
}


class LibraryAdminPages:
    """The pages of libraries for admins."""

    def __init__(
        self, pages: Pages, catalogue: Catalogue, libraries: Libraries, scanner: Scanner, auto_scans: AutoScans
    ) -> None:
        self._pages = pages
        self._catalogue = catalogue
        self._libraries = libraries
        self._scanner = scanner
        self._auto_scans = auto_scans

    async def show_all(self, visit: Visit) -> Response:
        """Show all libraries, with the progress of running scans."""
        views = await self._catalogue.list_libraries(visit.viewer)
        progress = {view.library.id: self._scanner.progress_of(view.library.id) for view in views}
        automatic = {view.library.id: self._auto_scans.status(view.library) for view in views}
        done = text_of(_DONE, visit.call.request.query_params.get("done", ""))
        return self._pages.render(
            visit, "admin_libraries.html", views=views, progress=progress, automatic=automatic, done=done
        )

    async def show(self, visit: Visit) -> Response:
        """Show one library: its scan, what the last one skipped, its name."""
        return await self._page(visit)

    async def scan(self, visit: Visit) -> Response:
        """Start a scan, and return to the page of the form."""
        library_id = library_id_of(visit.call)
        form = await read_form(visit.call)
        try:
            await self._scanner.start(library_id)
        except PlayheadError as error:
            if error.code is not Code.CONFLICT:
                raise
            return await self._page(visit, refusal=error.message, status=STATUS[error.code])
        return redirect(visit.call, way_back(form.get("back"), f"/admin/libraries/{library_id}"))

    async def rename(self, visit: Visit) -> Response:
        """Rename a library."""
        library_id = library_id_of(visit.call)
        name = (await read_form(visit.call)).get("name", "")
        try:
            await self._libraries.change(visit.viewer, library_id, name=name)
        except PlayheadError as error:
            return await self._page(visit, name=name, details=form_faults(error), status=STATUS[error.code])
        return redirect(visit.call, f"/admin/libraries/{library_id}?done=renamed")

    async def move(self, visit: Visit) -> Response:
        """Give a library another folder, and scan it there."""
        library_id = library_id_of(visit.call)
        path = (await read_form(visit.call)).get("path", "")
        try:
            await self._libraries.change(visit.viewer, library_id, path=path)
            await self._scanner.start(library_id)
        except PlayheadError as error:
            if error.code is Code.CONFLICT and error.member is None:
                return await self._page(visit, path_told=path, refusal=error.message, status=STATUS[error.code])
            return await self._page(visit, path_told=path, details=form_faults(error), status=STATUS[error.code])
        return redirect(visit.call, f"/admin/libraries/{library_id}?done=moved")

    async def show_removal(self, visit: Visit) -> Response:
        """Ask before removing a library."""
        return await self._removal(visit)

    async def remove(self, visit: Visit) -> Response:
        """Remove a library."""
        form = await read_form(visit.call)
        titles = TitlesOnRemoval.DELETE if "delete" in form else TitlesOnRemoval.KEEP
        try:
            await self._libraries.remove(visit.viewer, library_id_of(visit.call), titles)
        except PlayheadError as error:
            if error.code is not Code.CONFLICT:
                raise
            return await self._removal(visit, refusal=error.message, status=STATUS[error.code])
        return redirect(visit.call, "/admin/libraries?done=removed")

    async def _removal(self, visit: Visit, *, refusal: str | None = None, status: int = 200) -> Response:
        view = await self._catalogue.get_library(visit.viewer, library_id_of(visit.call))
        return self._pages.render(visit, "admin_library_remove.html", status=status, view=view, refusal=refusal)

    async def show_form(self, visit: Visit) -> Response:
        """Show the form for a new library. Its folder buttons submit to this page, with the input so far."""
        query = visit.call.request.query_params
        path = query.get("folder", query.get("path", ""))
        return await self._form(visit, {"name": query.get("name", ""), "kind": query.get("kind", ""), "path": path}, {})

    async def add(self, visit: Visit) -> Response:
        """Add a library, and start to scan it."""
        form = await read_form(visit.call)
        wanted = {name: form.get(name, "") for name in ("name", "kind", "path")}
        details = {} if wanted["path"] else {"path": ["must be chosen"]}
        if wanted["kind"] not in {kind.value for kind in LibraryKind}:
            details["kind"] = ["must be movies or shows"]
        if details:
            return await self._form(visit, wanted, details, 422)
        try:
            library = await self._catalogue.add_library(wanted["name"], LibraryKind(wanted["kind"]), wanted["path"])
        except PlayheadError as error:
            return await self._form(visit, wanted, form_faults(error), STATUS[error.code])
        await self._scanner.start(library.id)
        return redirect(visit.call, f"/admin/libraries/{library.id}?added=1")

    async def _form(
        self, visit: Visit, wanted: Mapping[str, str], details: Mapping[str, Sequence[str]], status: int = 200
    ) -> Response:
        return self._pages.render(
            visit,
            "admin_library_new.html",
            status=status,
            kinds=[(kind, gettext(words)) for kind, words in _KINDS],
            wanted=wanted,
            details=details,
            place=await look_around(wanted["path"]),
            name_length_max=NAME_LENGTH_MAX,
        )

    async def _page(self, visit: Visit, *, status: int = 200, **values: object) -> Response:
        view = await self._catalogue.get_library(visit.viewer, library_id_of(visit.call))
        query = visit.call.request.query_params
        form: dict[str, object] = {"name": view.library.name, "details": {}, "refusal": None}
        form["path_told"] = view.library.path or ""
        return self._pages.render(
            visit,
            "admin_library.html",
            status=status,
            view=view,
            progress=self._scanner.progress_of(view.library.id),
            automatic=self._auto_scans.status(view.library),
            added="added" in query,
            done=text_of(_DONE, query.get("done", "")),
            name_length_max=NAME_LENGTH_MAX,
            **(form | values),
        )
