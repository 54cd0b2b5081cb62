"""Errors: problems (RFC 9457) and their faults."""

from hooktide.wire.fields import ResponseModel


class Fault(ResponseModel, frozen=True, omit_defaults=True):
    """One fault: where (RFC 6901; in a project file, line and key), and why."""

    code: str
    detail: str
    pointer: str = ""
    line: int | None = None
    key: str = ""


class Problem(ResponseModel, frozen=True, omit_defaults=True):
    """What went wrong, and what to do about it (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str
    instance: str = ""
    errors: list[Fault] = []
    limit: int | None = None

    @property
    def code(self) -> str:
        """Return the last part of the type, which names the kind of problem."""
        return self.type.rpartition("/")[2]
