from playhead.domain.limits import PLAYS_OF_ITEM
from playhead.domain.sign_in_steps import STEPS_MAX, STEPS_PER_ADDRESS
from playhead.errors import Code


def test_a_refusal_states_the_limit_and_what_it_bounds():
    refusal = PLAYS_OF_ITEM.refusal()
    assert refusal.code is Code.LIMIT_REACHED
    assert refusal.message == "There can be at most 10,000 plays of one item per user"


def test_no_single_address_can_use_up_the_concurrent_sign_ins():
    assert STEPS_PER_ADDRESS * 100 <= STEPS_MAX
