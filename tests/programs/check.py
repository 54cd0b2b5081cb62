"""Runs the programs from the docs on cases: see programkit.py for the format of a line."""

import base64
import runpy
import sys
from email.message import Message
from pathlib import Path

for line in Path(sys.argv[1]).read_text().splitlines():
    name, program, secret, body, headers = line.split("\t")
    given = Message()
    for pair in headers.split():
        header, _, value = pair.partition(":")
        given[header] = base64.b64decode(value).decode("latin-1")
    is_verified = runpy.run_path(program)["is_verified"]
    print(f"{name}\t{str(is_verified(given, base64.b64decode(body), secret)).lower()}")
