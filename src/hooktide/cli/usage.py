"""The messages for command-line arguments that are wrong, in the style of all other errors."""

from cyclopts import CoercionError, CycloptsError, MissingArgumentError, UnusedCliTokensError

_NUMBERS: dict[object, str] = {int: "a whole number", float: "a number"}


def usage_text(error: CycloptsError) -> str:
    """Return what is wrong with the arguments, and which command lists the right ones."""
    command = " ".join(("hooktide", *(error.command_chain or ()), "--help"))
    return f"{_reason(error)}; see {command}"


def _reason(error: CycloptsError) -> str:
    match error:
        case MissingArgumentError():
            return _missing(error)
        case UnusedCliTokensError():
            return f"too many arguments: {' '.join(error.unused_tokens or ())}"
        case CoercionError(token=token, target_type=type_) if token and type_ in _NUMBERS:
            name = token.keyword or "the argument"
            return f"{name} takes {_NUMBERS[type_]}, not {token.value!r}"
        case _:
            return _plain(error)


def _missing(error: MissingArgumentError) -> str:
    argument = error.argument
    names = argument.names if argument else ()
    for name in names:
        if name in (error.root_input_tokens or ()):
            return f"{name} needs a value"
    name = names[0] if names else "an argument"
    is_positional = argument is not None and argument.index is not None
    return f"{name.removeprefix('--').upper() if is_positional else name} is missing"


def _plain(error: CycloptsError) -> str:
    error.verbose = False  # otherwise it names our functions and files
    text, _, _ = " ".join(str(error).split()).partition(" Available commands:")
    return text[:1].lower() + text[1:].rstrip(" .")
