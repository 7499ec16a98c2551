"""What other users of the machine may read of an installation, started and examined as its own user does."""

import logging
from pathlib import Path

import pytest

from playhead.bootstrap import open_installation
from playhead.config import Settings
from playhead.doctor import examine_installation

pytestmark = pytest.mark.anyio


async def test_start_removes_the_access_of_other_users_and_says_so_and_doctor_finds_it_before(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    settings = Settings(data=tmp_path / "data")
    async with open_installation(settings, on_failure=pytest.fail, password_memory_kib=64):
        assert (settings.data.stat().st_mode & 0o777, caplog.messages) == (0o700, [])
    settings.data.chmod(0o755)
    settings.database_path.chmod(0o644)

    def found() -> list[str]:
        return [each.text for each in examine_installation(settings) if "Other users" in each.text]

    [text] = found()
    assert "playhead.db (0644)" in text
    with caplog.at_level(logging.WARNING):
        async with open_installation(settings, on_failure=pytest.fail, password_memory_kib=64):
            assert settings.data.stat().st_mode & 0o777 == 0o700
            assert settings.database_path.stat().st_mode & 0o777 == 0o600
    assert any("playhead.db (0644)" in message for message in caplog.messages)
    assert found() == []
