"""``python -m hooktide`` is the command line."""

from hooktide.cli import main

main()
