"""How the benchmark speaks: lines, tables and verdicts on standard output. Measures nothing."""

from collections.abc import Sequence

_FIRST_COLUMN = 26
_COLUMN = 12

_missed: list[str] = []


def say(text: str = "") -> None:
    print(text, flush=True)


def print_row(first: str, cells: Sequence[str]) -> None:
    say(f"{first:<{_FIRST_COLUMN}}" + "".join(f"{cell:>{_COLUMN}}" for cell in cells))


def at_least(name: str, measured: float, bound: float, unit: str = "times") -> None:
    """Print a target that more is better for, and whether it was reached."""
    _print_verdict(name, f"{measured:,.2f} {unit}, at least {bound:,g} wanted", reached=measured >= bound)


def at_most(name: str, measured: float, bound: float, unit: str) -> None:
    """Print a target that less is better for, and whether it was reached."""
    _print_verdict(name, f"{measured:,.2f} {unit}, at most {bound:,g} wanted", reached=measured <= bound)


def _print_verdict(name: str, figures: str, *, reached: bool) -> None:
    say(f"  {name}: {figures}: {'reached' if reached else 'NOT reached'}")
    if not reached:
        _missed.append(f"{name}: {figures}")


def print_missed() -> None:
    """Print, at the very end, the targets that were not reached."""
    say(f"\n{len(_missed)} targets NOT reached" if _missed else "\nNo target that was measured was missed")
    for line in _missed:
        say(f"  {line}")
