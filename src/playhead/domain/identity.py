"""Externally authenticated identities, and what their groups determine here. Looks nothing up.

An account is bound to an identity by issuer and subject, never by a name or an e-mail address, which both can be given
to another person.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from playhead.domain.model import IdentityId, Instant, Role, UserId

PROXY_ISSUER = "proxy"
"""The issuer of identities that a trusted proxy names in a header."""

SUBJECT_LENGTH_MAX = 255  # OpenID Connect Core 1.0, section 2, `sub`
GROUPS_MAX = 1000


class Refusal(StrEnum):
    """Why an externally authenticated identity is not signed in."""

    UNKNOWN = "unknown"  # no account is linked, and none may be created
    NOT_ALLOWED = "not-allowed"  # none of their groups may sign in
    NAME_TAKEN = "name-taken"  # an account of that name exists, which must be linked by its owner first
    NAME_UNUSABLE = "name-unusable"


class IdentityRefusedError(Exception):
    """An externally authenticated identity may not sign in."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.value)
        self.refusal = refusal


@dataclass(frozen=True, slots=True)
class Identity:
    """What an issuer says about a person. `name` is the user name of an account that is created for them."""

    issuer: str
    subject: str
    name: str
    groups: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class LinkedIdentity:
    """An identity that signs in to an account. `used_at` is the day of its last use."""

    id: IdentityId
    user_id: UserId
    issuer: str
    subject: str
    name: str
    linked_at: Instant
    used_at: Instant


@dataclass(frozen=True, slots=True)
class GroupRules:
    """What groups determine: who may sign in, who is an admin, and which libraries, by name, a group sees.

    Empty rules determine nothing: an admin then sets role and libraries.
    """

    admins: frozenset[str] = frozenset()
    members: frozenset[str] = frozenset()
    libraries: Mapping[str, frozenset[str]] = field(default_factory=dict[str, frozenset[str]])

    def admit(self, groups: frozenset[str]) -> bool:
        """Return whether a member of these groups may sign in."""
        return not self.members or not groups.isdisjoint(self.members | self.admins)

    def role(self, groups: frozenset[str], current: Role) -> Role:
        """Return the role of a member of these groups from now on.

        Groups grant and withdraw the admin role; other roles stay as they are set here.
        """
        if not self.admins:
            return current
        if not groups.isdisjoint(self.admins):
            return Role.ADMIN
        return Role.MEMBER if current is Role.ADMIN else current

    def library_names(self, groups: frozenset[str]) -> frozenset[str] | None:
        """Return the names of the libraries that these groups see; None if groups do not determine it."""
        if not self.libraries:
            return None
        return frozenset[str]().union(*(names for group, names in self.libraries.items() if group in groups))


def groups_of(text: str) -> frozenset[str]:
    """Return the groups in a header: separated by commas (Authelia) or by bars (Authentik)."""
    return frozenset(part.strip() for part in re.split(r"[,|]", text)[:GROUPS_MAX] if part.strip())
