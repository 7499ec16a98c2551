"""Who may see or change what. Decides from a role and a grant; looks nothing up."""

from typing import NamedTuple

from playhead.domain.model import Role


class Standing(NamedTuple):
    """How an item and a viewer stand to each other.

    `is_held`: some library has it now. `is_granted`: a library granted to the viewer has it, or had it and no admin has
    ended that. `has_state`: the viewer has progress, plays or decisions about it, or about an episode of it.
    """

    is_open: bool
    is_private: bool
    is_own: bool
    is_held: bool
    is_granted: bool
    has_state: bool


def may_see(role: Role, *, granted: bool) -> bool:
    """Return whether a library, and everything in it, is visible: admins see all, others what was granted."""
    return granted or role is Role.ADMIN


def may_see_item(role: Role, standing: Standing) -> bool:
    """Return whether a viewer may see an item: its title, ids and their own state, not its files.

    Admins see all; a private item is seen by its owner alone. Others are visible if they are open, if a granted library
    holds or held them, or if no library holds them any more and the viewer has state on them.
    """
    if standing.is_private:
        return standing.is_own or role is Role.ADMIN
    if standing.is_granted or standing.is_open:  # first, because nearly every request ends here
        return True
    return role is Role.ADMIN or (standing.has_state and not standing.is_held)


def may_administer(role: Role) -> bool:
    """Return whether users, grants, libraries, scans and imports may be changed."""
    return role is Role.ADMIN


def may_keep_account(role: Role) -> bool:
    """Return whether users may change their own account: password, tokens, devices. A child can only watch."""
    return role is not Role.CHILD


def may_lack_password(role: Role) -> bool:
    """Return whether an account may have no password, as a child's: it signs in at its tile on a remembered device."""
    return role is Role.CHILD
