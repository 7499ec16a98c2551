"""The actions of users on items: mark, hide, snooze, drop, restore a point, and undo. One form performs one action.

A form names the action in `do`, and the page that it came from in `back`. A script gets the answer that static/acts.js
expects; without scripts the browser is redirected, and the next page confirms the action.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final, NamedTuple

from starlette.responses import Response

from playhead.domain.marks import UndoStep
from playhead.domain.model import Instant, ItemId, ItemKind, Milliseconds
from playhead.errors import invalid
from playhead.http.pages.page import Pages, RenderPage, Visit, WayBack, read_form
from playhead.http.pages.text import clock as position
from playhead.http.pages.translations import deferred, gettext, ngettext
from playhead.http.route import require_id
from playhead.services import undoing
from playhead.services.lists import Lists
from playhead.services.marks import Mark, Marks

_DAY_MS = 24 * 60 * 60 * 1000

PAGE_OF: Final = {ItemKind.MOVIE: "/movies", ItemKind.EPISODE: "/episodes", ItemKind.SHOW: "/shows"}


class Done(NamedTuple):
    """What was done, in words, and how to undo it, if possible."""

    words: str
    undo: WayBack | None = None


class Aim(NamedTuple):
    """The target of a form: an item or, with a number, a season of a show."""

    visit: Visit
    kind: ItemKind
    item_id: ItemId
    season_number: int | None
    fields: Mapping[str, str]

    @property
    def path(self) -> str:
        """Return the path of its page."""
        return f"{PAGE_OF[self.kind]}/{self.item_id}"


Act = Callable[["ActPages", Aim], Awaitable[Done]]


class ActPages:
    """The endpoints of forms for items."""

    def __init__(self, pages: Pages, marks: Marks, lists: Lists) -> None:
        self._pages = pages
        self._marks = marks
        self._lists = lists

    def on(self, kind: ItemKind) -> RenderPage:
        """Return the endpoint for forms on items of this kind."""

        async def act(visit: Visit) -> Response:
            item_id = visit.call.item_id(kind)
            form = await read_form(visit.call)
            known = _ACTS[kind].get(form.get("do", ""))
            if known is None:
                raise invalid({"do": ["cannot be done here"]})
            done = await known(self, Aim(visit, kind, item_id, visit.call.season_number, form))
            return self._pages.answer_act(visit, form, *done)

        return act

    async def undo(self, visit: Visit) -> Response:
        """Undo marks."""
        form = await read_form(visit.call)
        await self._marks.undo(visit.user.user_id, undoing.decode(form.get("value", ""), self._pages.clock()))
        return self._pages.answer_act(visit, form, gettext("Undone"), None)

    # Marks

    async def watch(self, aim: Aim) -> Done:
        """Mark a movie, an episode, a season or a show as watched."""
        return await self._mark(aim, Mark())

    async def unwatch(self, aim: Aim) -> Done:
        """Mark it as unwatched."""
        return await self._mark(aim, None)

    async def _mark(self, aim: Aim, mark: Mark | None) -> Done:
        user_id = aim.visit.user.user_id
        if aim.kind is ItemKind.SHOW:
            undos = await self._marks.mark_show(user_id, aim.item_id, aim.season_number, mark)
            return _marked(undos, mark, ngettext("%(num)s episode", "%(num)s episodes", len(undos)))
        return _marked(await self._marks.mark_item(user_id, aim.kind, aim.item_id, mark), mark, None)

    async def watch_up_to(self, aim: Aim) -> Done:
        """Mark an episode and all regular ones before it as watched."""
        undos = await self._marks.mark_up_to(aim.visit.user.user_id, aim.item_id, Mark())
        return _marked(undos, Mark(), ngettext("%(num)s episode", "%(num)s episodes", len(undos)))

    async def remove_play(self, aim: Aim) -> Done:
        """Remove one play; the watched flag stays."""
        play_id = require_id(aim.fields.get("play", ""), str, "Play not found")
        await self._marks.remove_play(aim.visit.user.user_id, aim.kind, aim.item_id, play_id)
        return Done(gettext("Play removed"))

    async def restore(self, aim: Aim) -> Done:
        """Restore a kept point."""
        point_id = require_id(aim.fields.get("position", ""), str, "Position not found")
        state = await self._marks.restore(aim.visit.user.user_id, aim.kind, aim.item_id, point_id)
        at = Milliseconds(0) if state.progress is None else state.progress.position_ms
        return Done(gettext("Back at %(position)s", position=position(at)))

    # Lists

    async def hide(self, aim: Aim) -> Done:
        """Hide a card from continue watching until the next activity."""
        await self._lists.hide(aim.visit.viewer, aim.item_id, hidden=True)
        return Done(gettext("Hidden until it is played again"), WayBack(aim.path, {"do": "show"}))

    async def show(self, aim: Aim) -> Done:
        """Show a hidden card again."""
        await self._lists.hide(aim.visit.viewer, aim.item_id, hidden=False)
        return Done(gettext("Shown again"))

    async def wake(self, aim: Aim) -> Done:
        """Show a snoozed card again."""
        await self._lists.snooze(aim.visit.viewer, aim.item_id, None)
        return Done(gettext("Shown again"))

    async def drop(self, aim: Aim) -> Done:
        """Drop a show."""
        await self._lists.drop(aim.visit.viewer, aim.item_id, dropped=True)
        return Done(gettext("Dropped: it no longer appears in any list"), WayBack(aim.path, {"do": "take-up"}))

    async def take_up(self, aim: Aim) -> Done:
        """Take a dropped show up again."""
        await self._lists.drop(aim.visit.viewer, aim.item_id, dropped=False)
        return Done(gettext("Picked up again"))

    async def snooze(self, aim: Aim, words: str, days: int) -> Done:
        """Snooze a card for some days."""
        until = Instant(self._pages.clock() + days * _DAY_MS)
        await self._lists.snooze(aim.visit.viewer, aim.item_id, until)
        return Done(gettext(words), WayBack(aim.path, {"do": "wake"}))


def _snooze(words: str, days: int) -> Act:
    return lambda pages, aim: pages.snooze(aim, words, days)


_CARDS: Final[dict[str, Act]] = {
    "watched": ActPages.watch,
    "unwatched": ActPages.unwatch,
    "hide": ActPages.hide,
    "show": ActPages.show,
    "snooze-day": _snooze(deferred("Snoozed for a day"), 1),
    "snooze-week": _snooze(deferred("Snoozed for a week"), 7),
    "snooze-month": _snooze(deferred("Snoozed for a month"), 30),
    "wake": ActPages.wake,
}
_ITEMS: Final[dict[str, Act]] = _CARDS | {"remove-play": ActPages.remove_play, "restore": ActPages.restore}
_ACTS: Final[dict[ItemKind, dict[str, Act]]] = {
    ItemKind.MOVIE: _ITEMS,
    ItemKind.EPISODE: _ITEMS | {"watched-up-to": ActPages.watch_up_to},
    ItemKind.SHOW: _CARDS | {"drop": ActPages.drop, "take-up": ActPages.take_up},
}


def _marked(undos: Sequence[UndoStep], mark: Mark | None, what: str | None) -> Done:
    if not undos:
        return Done(gettext("Nothing to change"))
    words = gettext("Marked as unwatched") if mark is None else gettext("Marked as watched")
    value = undoing.encode(undos)
    way_back = None if value is None else WayBack("/undo", {"value": value})
    return Done(words if what is None else f"{words}: {what}", way_back)
