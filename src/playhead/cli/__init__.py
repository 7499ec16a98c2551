"""The command line. Each command opens the installation, calls one service and prints; all work while a server runs.

`playhead GROUP …` is in the module of that name; commands without a group are in `serving`, `catalogue` and `naming`.
"""

import typer

from playhead.cli import catalogue, db, history, item, library, naming, serving, token, user

app = typer.Typer(
    name="playhead",
    help="Save a playing position on one device, resume on any other.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for command in (serving.serve, serving.health, catalogue.scan, catalogue.items, naming.name, serving.doctor):
    app.command()(command)
app.add_typer(user.app, name="user")
app.add_typer(token.app, name="token")
app.add_typer(library.app, name="library")
app.add_typer(item.app, name="item")
app.add_typer(db.app, name="db")
app.add_typer(history.app, name="history")


def main() -> None:
    """Run the command line. Expected failures print one line and exit with 1, wrong usage exits with 2."""
    app()
