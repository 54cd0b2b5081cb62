"""What cannot be undone asks for the name of what it is done to."""

from hooktide.domain.errors import InvalidError
from hooktide.web.dashboard.visit import Visit


def check_sure(visit: Visit, name: str) -> None:
    """Check that the name was written.

    :raises InvalidError: it was not.
    """
    if visit.form.text("sure") != name:
        raise InvalidError("not_sure", f"write {name} to say that you are sure", pointer="/sure")
