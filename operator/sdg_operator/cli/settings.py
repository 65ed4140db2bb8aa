"""``sdg settings check``: whether the operator could start with a settings file, told on a laptop."""

import argparse
import sys
from pathlib import Path

_EPILOG = """\
exit codes: 0 the settings can be used, 1 they cannot (each bad value is named), 2 wrong usage
"""


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to the parser."""
    group = commands.add_parser("settings", help="work with the administrator's settings")
    actions = group.add_subparsers(title="commands", metavar="COMMAND", required=True)
    check = actions.add_parser(
        "check",
        help="tell whether the operator could start with a settings file, and exactly what to mend",
        description="Checks a settings file as the operator does when it starts: unknown names, bad values.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    check.add_argument("file", metavar="FILE", help="the settings file; - for standard input")
    check.set_defaults(run=_check)


def _check(arguments: argparse.Namespace) -> int:
    from sdg_operator.api.settings_file import (  # noqa: PLC0415
        SettingsError,
        SettingsMissing,
        load_settings,
        read_settings,
    )

    file: str = arguments.file
    try:
        if file == "-":
            read_settings(sys.stdin.buffer.read(), "-")
        else:
            load_settings(Path(file))
    except SettingsMissing:
        print(f"sdg: there is no file {file}", file=sys.stderr)
        return 2
    except SettingsError as error:
        print(_printable(str(error)))
        print(f"The settings cannot be used: {len(error.problems)} to mend.")
        return 1
    print(f"{_printable(file)}: the settings can be used")
    return 0


def _printable(text: str) -> str:
    """A text in what the terminal can show."""
    encoding = sys.stdout.encoding
    return text.encode(encoding, "backslashreplace").decode(encoding)
