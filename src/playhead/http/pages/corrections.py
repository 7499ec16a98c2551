"""Corrections of the catalogue: what an item and a file are, what may be one title, and the log with its undo."""

from collections.abc import Mapping, Sequence
from datetime import date

from starlette.responses import Response

from playhead.domain.auditing import Act
from playhead.domain.doubles import Doubt, PossiblePair
from playhead.domain.identifying import IdentifiedAs, identified
from playhead.domain.model import FileId, ItemId, ItemKind, LibraryId, canonical_id
from playhead.domain.texts import EXTERNAL_ID, LABEL, TITLE, WORD, clean_text, shown
from playhead.errors import Code, PlayheadError, not_found, refuse_faults
from playhead.http.errors import STATUS
from playhead.http.pages.page import Pages, Visit, read_form, redirect
from playhead.http.pages.text import enumeration
from playhead.http.pages.translations import deferred, gettext, text_of
from playhead.services.auditing import Audit
from playhead.services.catalogue import Catalogue
from playhead.services.correcting import Correcting
from playhead.services.merging import Merging
from playhead.services.splitting import SplitPlan, Splitting

_LOG_SHOWN = 50
_CANDIDATES = 20
_PAIRS_SHOWN = 100
_FILES_MAX = 500
_YEAR_MAX = 9999
_NUMBER_MAX = 100_000

_SOURCES = ("tmdb", "imdb", "tvdb")

# What the form of a file asks for, besides the ids.
_FIELDS = ("title", "year", "season_number", "episode_number", "episode_end", "air_date", "part", "edition")

_ACTS = {
    Act.MERGE: deferred("Merged"),
    Act.TELL_APART: deferred("Told apart"),
    Act.SPLIT: deferred("Split"),
    Act.IDENTIFY: deferred("File identified"),
    Act.RELEASE: deferred("File left to its name"),
    Act.CHANGE_ITEM: deferred("Changed"),
    Act.END_HOLDING: deferred("Taken out of a library"),
    Act.RENAME_LIBRARY: deferred("Library renamed"),
    Act.MOVE_LIBRARY: deferred("Library moved"),
    Act.REMOVE_LIBRARY: deferred("Library removed"),
    Act.CREATE_TOKEN: deferred("API token created"),
}
_DOUBTS = {
    Doubt.YEARS: deferred("The years differ, or one is unknown."),
    Doubt.LENGTHS: deferred("The lengths differ."),
    Doubt.UNKNOWN_LENGTHS: deferred("The lengths cannot be compared."),
    Doubt.IDS: deferred("One of them has ids of several titles."),
    Doubt.DECIDED: deferred("An admin has said what a file of one of them is."),
}
_MEMBERS = {
    "title": deferred("title"),
    "year": deferred("year"),
    "external_ids": deferred("ids"),
    "runtime_ms": deferred("length"),
    "credits_ms": deferred("start of the credits"),
}
_DONE = {
    "changed": deferred("The title has been changed."),
    "apart": deferred("They are kept apart, and not listed again."),
    "merged": deferred("They are one title now."),
    "split": deferred("The files are a title of their own now."),
    "ended": deferred("The title has been taken out of the library."),
    "identified": deferred("Saved. The library is being scanned."),
    "released": deferred("The file is what its name says again. The library is being scanned."),
    "undone": deferred("Undone."),
}


class CorrectionPages:
    """The pages of corrections, for admins."""

    def __init__(  # noqa: PLR0913 - the services behind one subject
        self,
        pages: Pages,
        catalogue: Catalogue,
        merging: Merging,
        splitting: Splitting,
        correcting: Correcting,
        audit: Audit,
    ) -> None:
        self._pages = pages
        self._catalogue = catalogue
        self._merging = merging
        self._splitting = splitting
        self._correcting = correcting
        self._audit = audit

    # Items

    async def show_item(self, visit: Visit) -> Response:
        """Show what is known of an item, with the forms that correct it."""
        return await self._item(visit)

    async def change_item(self, visit: Visit) -> Response:
        """Change, merge, tell apart or split an item, or take it out of a library; `do` says which."""
        form = await read_form(visit.call, _FILES_MAX)
        acts = {
            "change": self._change,
            "merge": self._merge,
            "apart": self._tell_apart,
            "split": self._split,
            "end": self._end,
        }
        act = acts.get(form.get("do", ""))
        if act is None:
            raise not_found("Act not found")
        try:
            return redirect(visit.call, await act(visit, form))
        except PlayheadError as error:
            if error.code not in {Code.INVALID, Code.CONFLICT}:
                raise
            return await self._item(visit, form=form, error=error)

    async def _change(self, visit: Visit, form: Mapping[str, str]) -> str:
        item_id = _item_id(visit)
        item = (await self._catalogue.get_item(visit.viewer, item_id)).view.item
        before: dict[str, object] = {"title": item.title, "year": item.year, "external_ids": dict(item.external_ids)}
        told: dict[str, object] = {"title": clean_text(form.get("title", ""), TITLE) or None}
        if item.kind is not ItemKind.EPISODE:
            told["year"] = _whole("year", form, _YEAR_MAX)
        told["external_ids"] = _external_ids(form, item.external_ids) or None
        changes = {name: value for name, value in told.items() if value != before[name]}
        if changes:
            await self._correcting.change_item(visit.viewer, item.id, changes)
        return f"/admin/items/{item.id}?done=changed"

    async def _merge(self, visit: Visit, form: Mapping[str, str]) -> str:
        source = canonical_id(form.get("from", ""))
        if source is None:
            raise not_found("Item not found")
        merged = await self._merging.merge(visit.viewer, _item_id(visit), ItemId(source))
        if form.get("back") == "corrections":
            return "/admin/corrections?done=merged"
        return f"/admin/items/{merged.item.id}?done=merged"

    async def _tell_apart(self, visit: Visit, form: Mapping[str, str]) -> str:
        other = canonical_id(form.get("other", ""))
        if other is None:
            raise not_found("Item not found")
        await self._merging.tell_apart(visit.viewer, _item_id(visit), ItemId(other))
        return "/admin/corrections?done=apart"

    async def _split(self, visit: Visit, form: Mapping[str, str]) -> str:
        files = [FileId(name.removeprefix("file-")) for name in form if name.startswith("file-")]
        title = clean_text(form.get("new_title", ""), TITLE) or None
        plan = SplitPlan(files, title=title, year=_whole("new_year", form, _YEAR_MAX), with_state="with_state" in form)
        made = await self._splitting.split(visit.viewer, _item_id(visit), plan)
        return f"/admin/items/{made.id}?done=split"

    async def _end(self, visit: Visit, form: Mapping[str, str]) -> str:
        library_id = canonical_id(form.get("library", ""))
        if library_id is None:
            raise not_found("Library not found")
        await self._correcting.end_holding(visit.viewer, LibraryId(library_id), _item_id(visit))
        return f"/admin/items/{_item_id(visit)}?done=ended"

    async def _item(
        self, visit: Visit, *, form: Mapping[str, str] | None = None, error: PlayheadError | None = None
    ) -> Response:
        query = visit.call.request.query_params
        view = (await self._catalogue.get_item(visit.viewer, _item_id(visit))).view
        item = view.item
        wanted = clean_text(query.get("query", ""), WORD)
        found = []
        if wanted:
            page = await self._catalogue.list_items(
                visit.viewer, kind=item.kind, query=wanted, limit=_CANDIDATES, sort="title"
            )
            found = [each for each in page.items if each.item.id != item.id]
        show = None if item.show_id is None else (await self._catalogue.get_item(visit.viewer, item.show_id)).view.item
        files = await self._correcting.list_identities(item.id)
        values = {"title": item.title, "year": "" if item.year is None else str(item.year)}
        values |= {source: item.external_ids.get(source, "") for source in _SOURCES}
        first = next((each.read for each in files if each.read is not None), None)
        values["new_title"] = "" if first is None else first.title
        values["new_year"] = "" if first is None or first.year is None else str(first.year)
        return self._pages.render(
            visit,
            "admin_item.html",
            status=200 if error is None else STATUS[error.code],
            view=view,
            item=item,
            show=show,
            files=files,
            sources=_SOURCES,
            values={**values, **(form or {})},
            details={} if error is None else error.details or {},
            refusal=None if error is None or error.details else error.message,
            chosen={name for name in form or {} if name.startswith("file-")},
            query=wanted,
            found=found,
            pinned_names=enumeration(gettext(_MEMBERS[name]) for name in sorted(item.pinned)),
            done=text_of(_DONE, query.get("done", "")),
            page_path={ItemKind.MOVIE: "movies", ItemKind.SHOW: "shows", ItemKind.EPISODE: "episodes"}[item.kind],
        )

    # Files

    async def show_file(self, visit: Visit) -> Response:
        """Show how a file's name is read, and the form that says what it is."""
        return await self._file(visit, {}, {})

    async def change_file(self, visit: Visit) -> Response:
        """Say what a file is, that it is none, or that it is what its name says; `do` says which."""
        file_id = _file_id(visit)
        form = await read_form(visit.call)
        if form.get("do") == "release":
            await self._correcting.release(visit.viewer, file_id)
            return redirect(visit.call, f"/admin/files/{file_id}?done=released")
        try:
            told = IdentifiedAs(is_ignored=True) if form.get("do") == "ignore" else _told(form)
            await self._correcting.identify(visit.viewer, [file_id], told)
        except PlayheadError as error:
            if error.code is not Code.INVALID:
                raise
            return await self._file(visit, form, error.details or {}, STATUS[error.code])
        return redirect(visit.call, f"/admin/files/{file_id}?done=identified")

    async def _file(
        self, visit: Visit, form: Mapping[str, str], details: Mapping[str, Sequence[str]], status: int = 200
    ) -> Response:
        identity = await self._correcting.read_identity(_file_id(visit))
        # What was said about a file leaves the rest as its name tells.
        meant = identity.read if identity.told is None else identified(identity.read, identity.told)
        values = dict.fromkeys((*_FIELDS, *_SOURCES), "")
        if meant is not None:
            values |= {name: str(value) for name in _FIELDS if (value := getattr(meant, name)) is not None}
            values |= {source: meant.external_ids.get(source, "") for source in _SOURCES}
        return self._pages.render(
            visit,
            "admin_file.html",
            status=status,
            identity=identity,
            values={**values, **form},
            details=details,
            sources=_SOURCES,
            done=text_of(_DONE, visit.call.request.query_params.get("done", "")),
        )

    async def review(self, visit: Visit) -> Response:
        """Show the files of a library that were skipped or guessed, and why."""
        library_id = visit.call.path_id(LibraryId, "Library not found")
        view = await self._catalogue.get_library(visit.viewer, library_id)
        review = await self._correcting.review(library_id)
        listed = {shown(each.file.path) for each in review.skipped}
        reported = () if view.report is None else view.report.skipped_files
        return self._pages.render(
            visit,
            "admin_review.html",
            view=view,
            review=review,
            left_out=[file for file in reported if file.path not in listed],
        )

    # The log

    async def show_corrections(self, visit: Visit) -> Response:
        """Show what may be one title, and what admins did."""
        return await self._corrections(visit)

    async def undo(self, visit: Visit) -> Response:
        """Undo an act of the log."""
        await read_form(visit.call)
        try:
            await self._audit.undo(visit.call.path_id(str, "Act not found"))
        except PlayheadError as error:
            if error.code is not Code.CONFLICT:
                raise
            return await self._corrections(visit, refusal=error.message, status=STATUS[error.code])
        return redirect(visit.call, "/admin/corrections?done=undone")

    async def _corrections(self, visit: Visit, *, refusal: str | None = None, status: int = 200) -> Response:
        query = visit.call.request.query_params
        cursor = query.get("cursor")
        pairs: Sequence[PossiblePair] = () if cursor else await self._merging.list_possible()
        return self._pages.render(
            visit,
            "admin_corrections.html",
            status=status,
            pairs=[(pair, gettext(_DOUBTS[pair.doubt])) for pair in pairs[:_PAIRS_SHOWN]],
            number_of_pairs=len(pairs),
            log=await self._audit.page(cursor, _LOG_SHOWN),
            acts={act: gettext(words) for act, words in _ACTS.items()},
            refusal=refusal,
            done=text_of(_DONE, query.get("done", "")),
        )


def _item_id(visit: Visit) -> ItemId:
    return visit.call.path_id(ItemId, "Item not found")


def _file_id(visit: Visit) -> FileId:
    return visit.call.path_id(FileId, "File not found")


def _whole(name: str, form: Mapping[str, str], most: int, least: int = 0) -> int | None:
    """Return a whole number of a form; None if its field is empty. Raises INVALID."""
    text = form.get(name, "").strip()
    if not text:
        return None
    is_number = text.isascii() and text.isdigit() and len(text) <= len(str(most))
    if not is_number or not least <= int(text) <= most:
        refuse_faults(**{name: ["must be a whole number"]})
    return int(text)


def _external_ids(form: Mapping[str, str], before: Mapping[str, str]) -> dict[str, str]:
    """Return the external ids of a form, with those of sources that it does not show."""
    ids = {source: value for source, value in before.items() if source not in _SOURCES}
    told = {source: clean_text(form.get(source, ""), EXTERNAL_ID) for source in _SOURCES}
    return ids | {source: value for source, value in told.items() if value}


def _told(form: Mapping[str, str]) -> IdentifiedAs:
    """Return what a form says about a file. Raises INVALID."""
    day = None
    if form.get("air_date"):
        try:
            day = date.fromisoformat(form["air_date"])
        except ValueError:
            refuse_faults(air_date=["must be a day, such as 2030-01-31"])
    number = _whole("episode_number", form, _NUMBER_MAX)
    season = _whole("season_number", form, _NUMBER_MAX)
    end = _whole("episode_end", form, _NUMBER_MAX)
    title = clean_text(form.get("title", ""), TITLE)
    refuse_faults(
        title=[] if title else ["must not be empty"],
        episode_number=["must be given with a season"] if season is not None and number is None else [],
        episode_end=["must be greater than the first"] if end is not None and end <= (number or 0) else [],
    )
    is_episode = number is not None or day is not None
    return IdentifiedAs(
        kind=ItemKind.EPISODE if is_episode else ItemKind.MOVIE,
        title=title,
        year=_whole("year", form, _YEAR_MAX, 1),
        external_ids=_external_ids(form, {}),
        season_number=1 if season is None and number is not None else season,
        episode_number=number,
        episode_end=end,
        air_date=day,
        part=_whole("part", form, 1000, 1),
        edition=clean_text(form.get("edition", ""), LABEL) or None,
    )
