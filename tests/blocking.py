"""Makes the blocking client from the one for asyncio: ``python tests/blocking.py``.

There is one text, so the two cannot come to differ; what changes is a word here and there.
"""

import re
from pathlib import Path

CLIENT = Path(__file__).parent.parent / "src/hooktide/client"
SOURCE, MADE = CLIENT / "asynchronous.py", CLIENT / "blocking.py"

HEAD = '''"""The whole API, for programs that wait: ``Client``. Made from ``asynchronous``.

    with Client("https://hooks.example.com", "htk_...") as hooktide:
        hooktide.publish("customer-1", "invoice.paid", {"id": "inv_1"})

(``python tests/blocking.py`` makes it; a test compares.)
"""
'''

WORDS = [
    (r"\basync (def|for|with)\b", r"\1"),
    (r"\bawait ", ""),
    (r"\basyncio\.sleep\b", "time.sleep"),
    (r"\bimport asyncio\b", "import time"),
    (r"\bAsync(Client|Wire|Iterator)\b", r"\1"),
    (r"\b__a(enter|exit)__\b", r"__\1__"),
    (r"\baclose\b", "close"),
    ("by many tasks at once", "by many threads at once"),
]


def made(text: str) -> str:
    """Return the blocking client's text."""
    _, _, body = text.removeprefix('"""').partition('"""\n')
    for pattern, word in WORDS:
        body = re.sub(pattern, word, body)
    return re.sub(
        r"\b(from collections\.abc import )(.*)",
        lambda found: found[1] + ", ".join(sorted(found[2].split(", "))),
        HEAD + body,
    )


if __name__ == "__main__":  # then: make format
    MADE.write_text(made(SOURCE.read_text()))
