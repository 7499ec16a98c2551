"""Who may see or change what. Decides from a role and a grant; looks nothing up."""

from playhead.domain.model import Role


def may_see(role: Role, *, granted: bool) -> bool:
    """Return whether a library, and everything in it, is visible: admins see all, others what was granted."""
    return granted or role is Role.ADMIN


def may_administer(role: Role) -> bool:
    """Return whether users, grants, libraries, scans and imports may be changed."""
    return role is Role.ADMIN


def may_keep_account(role: Role) -> bool:
    """Return whether users may change their own account: password, tokens, devices. A child can only watch."""
    return role is not Role.CHILD


def may_lack_password(role: Role) -> bool:
    """Return whether an account may have no password, as a child's: it signs in at its tile on a remembered device."""
    return role is Role.CHILD
