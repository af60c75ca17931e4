"""Names of commands and flags that were renamed before 0.1.0. Delete this module in 0.2.0."""

from __future__ import annotations

from typing import Final

from peopleinfo.errors import InvalidSettings
from peopleinfo.settings.renamed_settings import RENAMED

_COMMANDS: Final = {
    ("sweep",): "retention run",
    ("encryption", "on"): "encryption enable",
}
_FLAGS: Final = {
    (("import",), "--again"): "--force",
    (("keys", "create"), "--hide"): "--hide-field",
}
_NOT_A_SETTING: Final = "--key"  # backup and restore have this option


def reject_renamed(arguments: list[str]) -> None:
    """Raise InvalidSettings, with the new name, for an argument that is an old command or an old flag."""
    for old, new in _COMMANDS.items():
        if tuple(arguments[: len(old)]) == old:
            raise InvalidSettings(f"{' '.join(old)} was renamed to {new}")
    for argument in arguments:
        flag = argument.partition("=")[0]
        if new_flag := _new_flag(arguments, flag):
            raise InvalidSettings(f"{flag} was renamed to {new_flag}")


def _new_flag(arguments: list[str], flag: str) -> str | None:
    for (command, old), new in _FLAGS.items():
        if flag == old and tuple(arguments[: len(command)]) == command:
            return new
    if not flag.startswith("--") or flag == _NOT_A_SETTING:
        return None
    setting = RENAMED.get(flag.removeprefix("--").replace("-", "_"))
    return f"--{setting.replace('_', '-')}" if setting else None
