"""The audit log's values: acts of persons, and of scans, on the catalogue and for other users. Pure."""

from collections.abc import Mapping
from enum import StrEnum
from typing import NamedTuple

from playhead.domain.model import Instant, UserId


class Act(StrEnum):
    """What was done. A merge and a split cannot be undone, because what people watched since belongs to the result.

    Nor can the creation of a token for another user: the token may have been used, and is revoked instead.
    """

    MERGE = "merge"
    TELL_APART = "tell-apart"
    SPLIT = "split"
    IDENTIFY = "identify"
    RELEASE = "release"
    CHANGE_ITEM = "change-item"
    END_HOLDING = "end-holding"
    RENAME_LIBRARY = "rename-library"
    MOVE_LIBRARY = "move-library"
    REMOVE_LIBRARY = "remove-library"
    CREATE_TOKEN = "create-token"  # noqa: S105 - the name of an act


_FINAL = frozenset({Act.MERGE, Act.SPLIT, Act.CREATE_TOKEN})


class AuditEntry(NamedTuple):
    """One act. `user_id` is None for the command line and for scans; `data` holds what undoing needs.

    `subject` names what was changed, and behind an arrow what it became: pages show it as it is, in any language.
    """

    id: str
    at: Instant
    user_id: UserId | None
    act: Act
    subject: str
    data: Mapping[str, object]
    undone_at: Instant | None = None

    @property
    def can_undo(self) -> bool:
        """Whether the act can be undone, as far as the entry tells."""
        return self.undone_at is None and self.act not in _FINAL
