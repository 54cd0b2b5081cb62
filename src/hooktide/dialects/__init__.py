"""The project files that ship with Hooktide, one a provider, and reading project files."""

from functools import cache
from importlib.resources import files
from pathlib import Path

from hooktide.domain.errors import ConfigError
from hooktide.domain.operational_events import PROJECT as BUILT_IN
from hooktide.domain.project.project import Project
from hooktide.domain.project.reading import parse_project

_HERE = files(__name__)


@cache
def shipped() -> tuple[str, ...]:
    """Return the names of the providers' files that ship, sorted."""
    names = (entry.name for entry in _HERE.iterdir() if entry.name.endswith(".toml"))
    return tuple(sorted({name.removesuffix(".toml") for name in names} - {BUILT_IN}))


def all_shipped() -> tuple[str, ...]:
    """Return the names of all files that ship: the providers', then the built-in project's."""
    return (*shipped(), BUILT_IN)


def ships(name: str) -> bool:
    """Whether a file of this name ships."""
    return name in all_shipped()


def read_shipped(name: str) -> str:
    """Return the text of a file that ships.

    :raises ConfigError: none has this name.
    """
    if not ships(name):
        raise ConfigError(f"no project file {name!r} ships; there are {', '.join(all_shipped())}")
    return _HERE.joinpath(f"{name}.toml").read_text("utf-8")


def read(path_or_name: str) -> str:
    """Return the text of a project file: of one that ships, by its name, or of a file.

    :raises ConfigError: the file cannot be read.
    """
    if ships(path_or_name):
        return read_shipped(path_or_name)
    try:
        return Path(path_or_name).read_text("utf-8")
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"{_why_unreadable(error)}; give a project file, or the name of one that ships: "
            f"{', '.join(all_shipped())}",
            file=path_or_name,
        ) from None


def _why_unreadable(error: OSError | ValueError) -> str:
    match error:
        case FileNotFoundError():
            return "there is no such file"
        case IsADirectoryError():
            return "it is a directory"
        case OSError():
            return f"it cannot be read ({error.strerror})"
        case UnicodeDecodeError():
            return "it is not UTF-8"
        case _:
            return "this is not the path of a file"


def load(path_or_name: str) -> Project:
    """Read a project from one that ships, by its name, or from a file.

    :raises ConfigError: the file cannot be read, or something in it is wrong.
    """
    file = f"{path_or_name}.toml" if ships(path_or_name) else path_or_name
    return parse_project(read(path_or_name), file)
