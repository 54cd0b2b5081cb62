"""``python -m docsite``: build the documentation site and check it."""

import logging
import os
import subprocess
import sys

from docsite import links, staging

CONFIG = staging.ROOT / "docsite" / "mkdocs.yml"
SITE = staging.ROOT / "build" / "site"


def main() -> int:
    """Build the site in ``build/site``; return an exit code."""
    logging.getLogger("hooktide").setLevel(logging.CRITICAL)  # of the server that shows its metrics
    pages = staging.lay_out(staging.ROOT / "build" / "docs")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--clean", "--quiet"]
    quiet = os.environ | {"NO_MKDOCS_2_WARNING": "1"}  # it is about MkDocs 2, which is not used
    built = subprocess.run([*command, "--config-file", str(CONFIG)], check=False, env=quiet)  # noqa: S603
    if built.returncode:
        return built.returncode
    wrong = links.problems(SITE)
    for problem in wrong:
        print(problem, file=sys.stderr)
    if not wrong:
        print(f"{len(pages)} pages in {SITE.relative_to(staging.ROOT)}, every link leads somewhere")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
