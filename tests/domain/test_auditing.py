"""Which acts of the audit log can be undone."""

import pytest

from playhead.domain.auditing import Act, AuditEntry
from playhead.domain.model import Instant


@pytest.mark.parametrize("act", Act)
def test_all_acts_but_merges_splits_and_tokens_can_be_undone_once(act: Act) -> None:
    entry = AuditEntry("1", Instant(5), None, act, "Heat", {})
    assert entry.can_undo == (act not in {Act.MERGE, Act.SPLIT, Act.CREATE_TOKEN})
    assert not entry._replace(undone_at=Instant(6)).can_undo
