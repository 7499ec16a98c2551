from datetime import UTC, datetime, timedelta, timezone

import pytest

from playhead.domain.model import Instant, canonical_id, instant_of, moment_of

CANONICAL = "11111111-aaaa-4111-8111-111111111111"


@pytest.mark.parametrize("text", [CANONICAL, CANONICAL.upper()])
def test_an_identifier_has_one_form_whatever_its_case(text: str):
    assert canonical_id(text) == CANONICAL


@pytest.mark.parametrize("text", ["", "x", CANONICAL.replace("-", ""), f"{{{CANONICAL}}}", f"urn:uuid:{CANONICAL}"])
def test_other_forms_of_a_uuid_are_not_identifiers(text: str):
    assert canonical_id(text) is None


def test_an_instant_is_the_same_in_every_time_zone():
    moment = datetime(2025, 11, 8, 22, tzinfo=UTC)
    assert instant_of(moment) == instant_of(moment.astimezone(timezone(timedelta(hours=-5)))) == 1_762_639_200_000
    assert moment_of(Instant(1_762_639_200_000)) == moment


def test_fractions_of_a_millisecond_are_truncated_so_that_an_instant_is_never_in_the_future():
    assert instant_of(datetime(1970, 1, 1, 0, 0, 1, 999_999, tzinfo=UTC)) == 1999
