"""Who sees an item, as conditions of SQL: the same as `domain.access.may_see_item`, for lists. Decides nothing else.

Every list of items uses these, and nothing but these. The row of the item is `schema.item` in the surrounding
statement; the tables named here are aliases, so that it may join them as well. Constants are literals in the text, for
prepared statements.
"""

from collections.abc import Collection
from typing import Any

from sqlalchemy import ColumnElement, Integer, Text, and_, case, func, literal, literal_column, not_, or_, select

from playhead.domain.model import LibraryId, UserId
from playhead.storage.schema import Id, holding, item, library_access, list_state, progress

_held = holding.alias("held")
_grant = library_access.alias("grant_of_holder")
_own_progress = progress.alias("own_progress")
_own_decision = list_state.alias("own_decision")
_own_episode = item.alias("own_episode")
_progress_of_episode = progress.alias("progress_of_episode")

_ZERO, _ONE, _TWO = (literal_column(digit, Integer) for digit in "012")
_SHOW = literal_column("'show'", Text)

_HOLDS_OR_HELD = and_(_held.c.item_id == item.c.id, _held.c.ended_at.is_(None))
_HOLDS = and_(_HOLDS_OR_HELD, _held.c.removed_at.is_(None))
_OF_HOLDER = _grant.c.library_id == _held.c.library_id


def is_held() -> ColumnElement[bool]:
    """Whether some library has the item now."""
    return select(_ONE).where(_HOLDS).exists()


def is_lasting_in(library_id: LibraryId) -> ColumnElement[bool]:
    """Whether this library has the item, or had it and no admin has ended that. Not for prepared statements."""
    return select(_ONE).where(_HOLDS_OR_HELD, _held.c.library_id == library_id).exists()


def is_granted(user: ColumnElement[Any]) -> ColumnElement[bool]:
    """Whether a library granted to the user has the item, or had it and no admin has ended that."""
    held = select(_ONE).select_from(_held).join(_grant, _OF_HOLDER)
    return held.where(_HOLDS_OR_HELD, _grant.c.user_id == user).exists()


ALL_GRANTED, SOME_GRANTED = literal_column("3", Integer), literal_column("2", Integer)
"""Values of `grants_of`."""


def grants_of(user: ColumnElement[Any]) -> ColumnElement[int]:
    """How many of the libraries that have the item, or had it and no admin has ended that, are granted to the user."""
    of_one = case((_grant.c.user_id.is_(None), _ZERO), else_=_ONE)
    held = select(func.min(of_one) + _TWO * func.max(of_one)).select_from(
        _held.outerjoin(_grant, and_(_OF_HOLDER, _grant.c.user_id == user))
    )
    return held.where(_HOLDS_OR_HELD).scalar_subquery()


def is_available(user: ColumnElement[Any], is_admin: ColumnElement[Any]) -> ColumnElement[bool]:
    """Whether a library that the user may see has the item now. `is_admin` is 1 or 0."""
    held = select(_ONE).select_from(_held).join(_grant, _OF_HOLDER)
    return or_(and_(is_admin == _ONE, is_held()), held.where(_HOLDS, _grant.c.user_id == user).exists())


def is_available_in(libraries: Collection[LibraryId]) -> ColumnElement[bool]:
    """Whether one of these libraries has the item now, looked up item by item. Not for prepared statements."""
    return select(_ONE).where(_HOLDS, _held.c.library_id.in_(sorted(libraries))).exists()


def is_among_those_of(libraries: Collection[LibraryId]) -> ColumnElement[bool]:
    """The same, for a statement that may begin with all items of these libraries. Not for prepared statements."""
    is_living = and_(_held.c.removed_at.is_(None), _held.c.ended_at.is_(None))
    return item.c.id.in_(select(_held.c.item_id).where(is_living, _held.c.library_id.in_(sorted(libraries))))


def has_state(user: ColumnElement[Any]) -> ColumnElement[bool]:
    """Whether the user has progress of the item or of an episode of it, or decisions about its card.

    A play is never without progress.
    """
    of_episode = (
        select(_ONE)
        .select_from(_own_episode)
        .join(
            _progress_of_episode,
            and_(_progress_of_episode.c.item_id == _own_episode.c.id, _progress_of_episode.c.user_id == user),
        )
    )
    return or_(
        select(_ONE).where(_own_progress.c.user_id == user, _own_progress.c.item_id == item.c.id).exists(),
        select(_ONE).where(_own_decision.c.user_id == user, _own_decision.c.item_id == item.c.id).exists(),
        and_(item.c.kind == _SHOW, of_episode.where(_own_episode.c.show_id == item.c.id).exists()),
    )


def is_seen(user: ColumnElement[Any], is_admin: ColumnElement[Any]) -> ColumnElement[bool]:
    """Whether the user may see the item. `is_admin` is 1 or 0."""
    return or_(is_admin == _ONE, _is_seen_by_member(user))


def is_mine(user_id: UserId) -> ColumnElement[bool]:
    """Whether the user has state on the item and may see it. Not for prepared statements."""
    user = literal(user_id, Id)
    return and_(has_state(user), _is_seen_by_member(user))


def _is_seen_by_member(user: ColumnElement[Any]) -> ColumnElement[bool]:
    is_shared = or_(item.c.is_open, is_granted(user), and_(not_(is_held()), has_state(user)))
    return or_(item.c.owner_id == user, and_(item.c.owner_id.is_(None), is_shared))
