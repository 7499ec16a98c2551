"""Who may see or change what. Decides from a role and a grant; looks nothing up."""

from playhead.domain.model import Role


def may_see(role: Role, *, granted: bool) -> bool:
    """Say whether a library, and everything in it, may be seen: an admin sees all, others what was granted."""
    return granted or role is Role.ADMIN


def may_administer(role: Role) -> bool:
    """Say whether users, grants, libraries, scans and imports may be changed."""
    return role is Role.ADMIN


def may_keep_account(role: Role) -> bool:
    """Say whether somebody decides about their own account: password, tokens, devices. A child only watches."""
    return role is not Role.CHILD


def may_lack_password(role: Role) -> bool:
    """Say whether an account may be made without a password. A child's may: its tile on a shared device lets it in."""
    return role is Role.CHILD
