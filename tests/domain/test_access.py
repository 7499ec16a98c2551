from itertools import product

import pytest

from playhead.domain.access import (
    Standing,
    may_administer,
    may_keep_account,
    may_lack_password,
    may_see,
    may_see_item,
)
from playhead.domain.model import Role


def test_a_member_sees_what_was_granted_and_nothing_else():
    assert may_see(Role.MEMBER, granted=True)
    assert not may_see(Role.MEMBER, granted=False)


def test_an_admin_sees_everything():
    assert may_see(Role.ADMIN, granted=True)
    assert may_see(Role.ADMIN, granted=False)


def test_only_an_admin_administers():
    assert may_administer(Role.ADMIN)
    assert not may_administer(Role.MEMBER)


def test_a_child_only_watches_what_was_granted():
    assert not may_see(Role.CHILD, granted=False)
    assert may_see(Role.CHILD, granted=True)
    assert not may_administer(Role.CHILD)
    assert [role for role in Role if not may_keep_account(role)] == [Role.CHILD]
    assert [role for role in Role if may_lack_password(role)] == [Role.CHILD]


@pytest.mark.parametrize("flags", [*product((False, True), repeat=6)])
def test_who_sees_an_item(flags: tuple[bool, ...]):
    standing = Standing(*flags)
    assert may_see_item(Role.ADMIN, standing)
    is_shared = standing.is_open or standing.is_granted or (standing.has_state and not standing.is_held)
    seen = standing.is_own if standing.is_private else is_shared
    assert may_see_item(Role.MEMBER, standing) is may_see_item(Role.CHILD, standing) is seen
