"""``hooktide completions``: shell completions."""

from typing import Literal

from hooktide.cli import app


def completions(shell: Literal["bash", "zsh", "fish"]) -> None:
    """Print the completions of a shell: eval "$(hooktide completions bash)"."""
    print(app.generate_completion(shell=shell))
