from playhead.domain.access import may_administer, may_keep_account, may_lack_password, may_see
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
