import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from playhead.storage import migrations as history
from playhead.storage.migrations.upgrade import Migrations

OURS = Path(history.__file__).parent


@pytest.fixture
def later(tmp_path: Path) -> Callable[[str], Migrations]:
    """Create the next version of Playhead, whose migration to revision 9999 consists of these lines."""

    def make(body: str) -> Migrations:
        scripts = tmp_path / "migrations"
        shutil.copytree(OURS, scripts, dirs_exist_ok=True)
        lines = "".join(f"    {line}\n" for line in body.splitlines())
        (scripts / "versions" / "9999_later.py").write_text(
            "import os\nimport signal\n\nimport sqlalchemy as sa\nfrom alembic import op\n\n"
            f'revision = "9999"\ndown_revision = "{history.HEAD}"\n\n\ndef upgrade():\n{lines}'
        )
        return Migrations(scripts, "9999")

    return make
