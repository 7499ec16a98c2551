"""Who may see or change what. Decides from a role and a grant; looks nothing up."""

from playhead.domain.model import Role


def may_see(role: Role, *, granted: bool) -> bool:
    """Say whether a library, and everything in it, may be seen: an admin sees all, a member what was granted."""
    return granted or role is Role.ADMIN


def may_administer(role: Role) -> bool:
    """Say whether users, grants, libraries, scans and imports may be changed."""
    return role is Role.ADMIN
