"""Addresses of pages that the API and other pages show."""

from hooktide.domain.model import Bin
from hooktide.domain.project.project import Project


def docs_url(project: Project, public_url: str) -> str | None:
    """Return the URL of a project's public docs, or None if it has none."""
    return f"{public_url}/docs/{project.name}" if project.public_docs else None


def bin_page_url(public_url: str, found: Bin) -> str:
    """Return the URL of a bin's page, a secret that lets its holder change the bin."""
    return f"{public_url}/bins/{found.page_token}"
