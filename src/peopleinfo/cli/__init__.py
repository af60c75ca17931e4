"""The command `peopleinfo`."""


def main() -> None:
    """Run the command line."""
