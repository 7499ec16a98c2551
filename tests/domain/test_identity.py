import pytest

from playhead.domain.identity import GroupRules, IdentityRefusedError, Refusal, groups_of
from playhead.domain.model import Role

RULES = GroupRules(
    admins=frozenset({"root"}),
    members=frozenset({"family"}),
    libraries={"family": frozenset({"Films"}), "kids": frozenset({"Cartoons"}), "root": frozenset({"Films", "Shows"})},
)


@pytest.mark.parametrize(
    ("text", "groups"),
    [
        ("family,root", {"family", "root"}),
        ("family|root", {"family", "root"}),
        (" family , , root ", {"family", "root"}),
        ("one group", {"one group"}),
        ("", set()),
        (",|,", set()),
    ],
)
def test_groups_in_a_header_are_separated_by_commas_or_bars(text: str, groups: set[str]):
    assert groups_of(text) == groups


def test_a_header_with_too_many_groups_is_read_up_to_a_thousand():
    assert len(groups_of(",".join(f"group {number}" for number in range(5000)))) == 1000


@pytest.mark.parametrize(
    ("groups", "may"), [({"family"}, True), ({"root"}, True), ({"kids"}, False), (set[str](), False)]
)
def test_only_listed_groups_may_sign_in_if_any_are_listed(groups: set[str], may: bool):  # noqa: FBT001
    assert RULES.admit(frozenset(groups)) is may
    assert GroupRules().admit(frozenset(groups)) is True


def test_groups_grant_and_withdraw_the_admin_role():
    assert RULES.role(frozenset({"root"}), Role.MEMBER) is Role.ADMIN
    assert RULES.role(frozenset({"family"}), Role.ADMIN) is Role.MEMBER
    assert RULES.role(frozenset({"family"}), Role.MEMBER) is Role.MEMBER


@pytest.mark.parametrize("role", Role)
def test_a_role_is_kept_where_groups_do_not_decide_it(role: Role):
    assert GroupRules(members=frozenset({"family"})).role(frozenset({"family"}), role) is role


@pytest.mark.parametrize("role", [role for role in Role if role is not Role.ADMIN])
def test_a_user_in_no_admin_group_keeps_any_other_role(role: Role):
    assert RULES.role(frozenset({"family"}), role) is role


def test_the_libraries_of_several_groups_add_up():
    assert RULES.library_names(frozenset({"family", "kids"})) == {"Films", "Cartoons"}
    assert RULES.library_names(frozenset({"other"})) == set()
    assert GroupRules().library_names(frozenset({"family"})) is None


def test_a_refusal_says_why():
    assert str(IdentityRefusedError(Refusal.NAME_TAKEN)) == "name-taken"
