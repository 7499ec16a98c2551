from playhead.domain.limits import PLAYS_OF_ITEM
from playhead.domain.sign_in_steps import STEPS_MAX, STEPS_PER_ADDRESS
from playhead.errors import Code


def test_a_refusal_says_how_much_there_can_be_of_what():
    refusal = PLAYS_OF_ITEM.refusal()
    assert refusal.code is Code.LIMIT_REACHED
    assert refusal.message == "There can be at most 10,000 plays of one item per user"


def test_no_address_alone_can_use_up_the_sign_ins_that_may_be_under_way():
    assert STEPS_PER_ADDRESS * 100 <= STEPS_MAX
