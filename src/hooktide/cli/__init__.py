"""The command line: ``commands`` has a file for each command, or for a few that belong together.

``options`` has the options of commands that use a server, ``output`` the formatting. A
command's module is imported when that command runs: ``hooktide send`` starts without the server.
"""

import gc
import os
import sys
from collections.abc import Sequence

from cyclopts import App, ArgumentCollection, CycloptsError
from cyclopts.config import Env

from hooktide import __version__
from hooktide.cli.usage import usage_text
from hooktide.domain.errors import ConfigError, HooktideError

RARELY = (50_000, 20, 50)
"""When garbage is collected: imports make hardly any, and take a tenth longer by Python's own
thresholds."""


def _prefer_typed(_: App, __: tuple[str, ...], arguments: ArgumentCollection) -> None:
    """Of --server and --database, drop the one from the environment where the other was typed.

    They exclude each other: the typed option takes precedence.
    """
    given = [each for each in arguments if each.name in ("--server", "--database") and each.tokens]
    if len(given) > 1:
        typed = [each for each in given if each.tokens[0].source == "cli"]
        for each in given if len(typed) == 1 else ():
            if each not in typed:
                each.tokens.clear()


app = App(
    name="hooktide",
    help="Send webhooks: durably accepted, signed in your own format, retried until they arrive.",
    version=__version__,
    config=(Env("HOOKTIDE_", command=False), _prefer_typed),
)

for _path in (
    "serve:serve",
    "projects:apply",
    "projects:providers",
    "reindex:reindex",
    "demo:demo",
    "completions:completions",
    "database:audit",
    "database:backup",
    "database:migrate",
    "database:move",
    "database:retention",
    "storage_usage:storage_usage",
    "outbox:relay",
    "outbox:outbox",
    "keys:keys",
    "accounts:accounts",
):
    app.command(f"hooktide.cli.commands.{_path}", name=_path.partition(":")[2].replace("_", "-"))

for _path, _name in (
    ("send:send", "send"),
    ("log:events", "events"),
    ("log:deliveries", "deliveries"),
    ("tail:tail", "tail"),
    ("replay:replay", "replay"),
    ("verify:verify", "verify"),
    ("listen:listen", "listen"),
    ("importing:import_endpoints", "import"),
):
    # Without config: the environment names a server, not an event.
    app.command(f"hooktide.cli.commands.{_path}", name=_name, config=())


def main() -> None:
    """Run the command line; an error prints one line that says what to do."""
    words = sys.argv[1:]
    gc.set_threshold(*RARELY)
    try:
        _check_utf8(words)
        if words[:1] in ([], ["--help"], ["-h"]):
            app.resolved_commands()  # the list of commands says what each does
        app(words, exit_on_error=False, print_error=False)
    except CycloptsError as error:
        print(f"hooktide: {usage_text(error)}", file=sys.stderr)
        sys.exit(2)
    except HooktideError as error:
        from hooktide.cli.options import error_text  # imports the server's problem table

        print(f"hooktide: {error_text(error)}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:  # the reader closed the pipe, as head does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)


def _check_utf8(words: Sequence[str]) -> None:
    """Refuse text that is not UTF-8: neither a request nor a file could be made of it.

    Python reads such bytes as lone surrogates, which fail wherever they are encoded.
    """
    settings = {name: value for name, value in os.environ.items() if name.startswith("HOOKTIDE_")}
    given = [*((f"argument {n}", word) for n, word in enumerate(words, 1)), *settings.items()]
    for name, text in given:
        if not _is_utf8(text):
            shown = text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
            raise ConfigError(
                f"{shown!r} is not UTF-8; check the terminal's encoding, or give the value in a "
                "file where the command takes one",
                key=name,
            )


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
