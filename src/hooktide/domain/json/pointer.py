"""JSON pointers (RFC 6901): where in a document something is."""


def escaped(step: object) -> str:
    """Return a member's name or an index as a step of a pointer, without the slash before it."""
    return str(step).replace("~", "~0").replace("/", "~1")


def unescaped(step: str) -> str:
    """Return the member's name for a step of a pointer."""
    return step.replace("~1", "/").replace("~0", "~")
