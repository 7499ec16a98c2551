from playhead.domain.access import may_administer, may_see
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
