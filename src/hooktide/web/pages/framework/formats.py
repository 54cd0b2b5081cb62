"""How pages write numbers, instants and spans: ``3 hours 36 minutes``, ``5,000``, ``no limit``."""

from urllib.parse import quote

from markupsafe import Markup

from hooktide.domain.counting import count_of
from hooktide.domain.model import DAY, HOUR, MINUTE, SECOND, Micros
from hooktide.domain.phrase import NOUNS, Figure, Phrase, phrase
from hooktide.domain.phrase import counted as counted_phrase
from hooktide.domain.project.project import Project
from hooktide.domain.time.times import show_time

NONE = "\N{EN DASH}"


def when(at: Micros | None, now: Micros) -> Markup:
    """Write an instant as how long ago it was, with the full time as a tooltip."""
    if at is None:
        return Markup('<span class="small">never</span>')
    return Markup('<time datetime="{}" title="{}">{}</time>').format(
        show_time(at), moment(at), ago(at, now)
    )


def instant(at: Micros, now: Micros) -> Markup:
    """Write an instant to the second, and how soon or how long ago it is."""
    return Markup('<time datetime="{}">{}</time> ({})').format(
        show_time(at), moment(at), ago(at, now)
    )


def moment(at: Micros | str) -> Phrase:
    """Write an instant, or its RFC 3339 text, to the second: ``28 Nov 2026 14:51:02 UTC``."""
    text = _text(at)
    return phrase("{day} {month} {year} {time} UTC", **_date(text), time=text[11:19])


def minute(at: Micros | str) -> Phrase:
    """Write an instant to the minute, for where its zone is said already."""
    text = _text(at)
    return phrase("{day} {month} {year} {time}", **_date(text), time=text[11:16])


def day(at: Micros | str) -> Phrase:
    """Write an instant's day: ``28 Nov 2026``."""
    return phrase("{day} {month} {year}", **_date(_text(at)))


def _text(at: Micros | str) -> str:
    return at if isinstance(at, str) else show_time(at)


def _date(text: str) -> dict[str, str]:
    year, month, number = text[:10].split("-")
    return {"day": number.lstrip("0"), "month": _MONTHS[int(month) - 1], "year": year}


_MONTHS = (
    phrase("Jan"),
    phrase("Feb"),
    phrase("Mar"),
    phrase("Apr"),
    phrase("May"),
    phrase("Jun"),
    phrase("Jul"),
    phrase("Aug"),
    phrase("Sep"),
    phrase("Oct"),
    phrase("Nov"),
    phrase("Dec"),
)


def ago(at: Micros, now: Micros) -> str:
    """Format how long ago an instant was, or how soon it is."""
    span = abs(now - at)
    if span < 2 * SECOND:
        return phrase("now")
    if span >= 30 * DAY:
        return day(at)
    text = roughly(span)
    return phrase("in {span}", span=text) if at > now else phrase("{span} ago", span=text)


def roughly(span: Micros) -> Phrase:
    """Format a span in its largest unit: ``3 h``."""
    if span >= DAY:
        return phrase("{count} d", count=span // DAY)
    if span >= HOUR:
        return phrase("{count} h", count=span // HOUR)
    if span >= MINUTE:
        return phrase("{count} min", count=span // MINUTE)
    if span >= SECOND:
        return phrase("{count} s", count=span // SECOND)
    return phrase("{count} ms", count=round(max(span, 0) / 1000))


def duration(span: Micros | None) -> str:
    """Format how long a request took."""
    if span is None:
        return NONE
    if span < SECOND:
        return phrase("{count} ms", count=round(span / 1000))
    return phrase("{number} s", number=Figure(f"{span / SECOND:.1f}"))


def number(value: float) -> Figure:
    """Write a number with its thousands apart: ``1,714``."""
    return Figure(f"{value:,}")


def counted(value: int, noun: str, many: str = "") -> str:
    """Write a number with its noun; one that customers see is among ``NOUNS``."""
    return counted_phrase(value, noun) if noun in NOUNS else count_of(value, noun, many)


def short(value: int) -> Figure:
    """Write a number in short form: ``12.3k``."""
    for size, letter in ((10**9, "G"), (10**6, "M"), (10**3, "k")):
        if value >= 10 * size:
            return Figure(f"{value / size:.0f}{letter}")
        if value >= size:
            return Figure(f"{value / size:.1f}{letter}".replace(".0", ""))
    return Figure(value)


def size(count: int) -> str:
    """Write a number of bytes."""
    value = float(count)
    for unit in ("B", "KB", "MB", "GB"):
        if value < 1024:
            return f"{value:.0f} {unit}" if unit == "B" or value >= 100 else f"{value:.1f} {unit}"
        value /= 1024
    return f"{value:.1f} TB"


def share(part: int, whole: int) -> str:
    """Write a percentage: ``99.4 %``; never 100 % unless it is complete."""
    if not whole:
        return NONE
    per_mille = part * 1000 // whole
    return f"{per_mille // 10} %" if per_mille % 10 == 0 else f"{per_mille / 10:.1f} %"


def pair(project: Project) -> tuple[str, str]:
    """Return a project as a choice: its name and its title."""
    return project.name, project.title


_UNITS = ((DAY, "day"), (HOUR, "hour"), (MINUTE, "minute"), (SECOND, "second"))


def span(length: Micros) -> Phrase:
    """Write a span in at most two units, to the second."""
    left = round(length / SECOND) * SECOND
    said: list[Phrase] = []
    for unit, name in _UNITS:
        if left >= unit and len(said) < 2:
            said.append(counted_phrase(left // unit, name))
            left %= unit
    if len(said) > 1:
        return phrase("{first} {second}", first=said[0], second=said[1])
    return said[0] if said else counted_phrase(0, "second")


def at_most(limit: int | None) -> str:
    """Write a limit."""
    return phrase("no limit") if limit is None else number(limit)


def product_name(project: Project) -> str:
    """Return the product's name, as its customers know it."""
    return one_line(project.title) or project.name


BLUE = "#0b5cba"
_ICON = (
    "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 32 32'>"
    "<rect width='32' height='32' rx='7' fill='{}'/>"
    "<text x='16' y='23' font-family='sans-serif' font-size='20' font-weight='bold' "
    "fill='#fff' text-anchor='middle'>{}</text></svg>"
)


def icon(name: str, colour: str = "") -> str:
    """Return the address of an icon for the browser's tab: a letter on a colour."""
    letter = next((each for each in name.upper() if each.isalnum()), "?")
    return "data:image/svg+xml," + quote(_ICON.format(colour or BLUE, letter))


MAX_URL = 48


def short_url(url: str) -> str:
    """Write a URL in one line: its host, and the end of a long path."""
    whole = url.partition("://")[2] or url
    if len(whole) <= MAX_URL:
        return whole
    host = whole.partition("/")[0].partition("?")[0]
    room = max(MAX_URL - len(host) - 2, 12)
    return f"{host}/\N{HORIZONTAL ELLIPSIS}{whole[-room:]}"


def one_line(text: str) -> str:
    """Put a text into one line."""
    return " ".join(text.split())


def paragraphs(text: str) -> list[str]:
    """Return the paragraphs of a text, each in one line."""
    lines = [line.strip() for line in text.splitlines()]
    return [one_line(part) for part in "\n".join(lines).split("\n\n") if part.strip()]
