"""Ids and names that an application's own code passes to Hooktide."""

from hooktide.domain.errors import InvalidError


def check_is_text(**given: object) -> None:
    """Check that arguments are strings, also where the application's own ids are numbers.

    :raises InvalidError: one is not; the pointer is its name.
    """
    for name, value in given.items():
        if not isinstance(value, str):
            raise InvalidError(
                "invalid_text",
                f"{name} must be a str, not {type(value).__name__}; convert it: str({name})",
                pointer=f"/{name}",
            )
