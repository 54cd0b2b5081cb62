"""Numbers with their nouns, for use in sentences."""


def count_of(value: int, one: str, many: str = "") -> str:
    """Format a number with its noun: ``1 event``, ``1,200 deliveries``."""
    plural = many or (f"{one[:-1]}ies" if one.endswith("ry") else f"{one}s")
    return f"{value:,} {one if value == 1 else plural}"
