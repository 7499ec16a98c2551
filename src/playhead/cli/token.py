"""`playhead token …`: tokens for players and scripts."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from playhead.cli.installation import DatabaseOption, DataOption, run
from playhead.domain.model import instant_of
from playhead.domain.tokens import TokenScope
from playhead.terminal import say

if TYPE_CHECKING:
    from playhead.bootstrap import Installation

app = typer.Typer(help="Tokens for players and scripts.", no_args_is_help=True)


@app.command("create")
def create_token(  # noqa: PLR0913 - as many as there are flags
    user_name: Annotated[str, typer.Argument(metavar="USER")],
    name: Annotated[str, typer.Option(help="What the token is for.")] = "command line",
    scope: Annotated[
        TokenScope, typer.Option(help="read: everything the user sees; report: save and read progress; all: no limit.")
    ] = TokenScope.ALL,
    expires: Annotated[
        datetime | None,
        typer.Option(
            formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M:%SZ"],
            help="When the token expires, in UTC: a day, from whose beginning on it is refused, or a time.",
        ),
    ] = None,
    data: DataOption = None,
    database: DatabaseOption = None,
) -> None:
    """Create a token and print it, only once."""
    expires_at = None if expires is None else instant_of(expires.replace(tzinfo=UTC))

    async def create(playhead: "Installation") -> str:
        found = await playhead.accounts.find_user_named(user_name)
        return (await playhead.accounts.create_token(found.id, name, scope=scope, expires_at=expires_at)).secret

    say(run(data, database, create))
