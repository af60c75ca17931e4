"""Run the command line: `python -m peopleinfo`."""

from peopleinfo.cli import main

main()
