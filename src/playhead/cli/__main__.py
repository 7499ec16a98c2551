"""`python -m playhead.cli` is the same as `playhead`."""

from playhead.cli import main

main()
