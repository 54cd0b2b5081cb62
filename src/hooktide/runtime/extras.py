"""Imports of optional dependencies; an error says what to install."""

import importlib
from types import ModuleType

from hooktide.domain.errors import ConfigError


def import_postgres(module: str, key: str) -> ModuleType:
    """Import a module that only PostgreSQL needs.

    ``key`` is the option or setting that asked for it.

    :raises ConfigError: its driver is not installed.
    """
    return _import(module, "asyncpg", "PostgreSQL needs asyncpg", "postgres", key)


def import_tracing() -> ModuleType:
    """Import the tracing module.

    :raises ConfigError: OpenTelemetry is not installed.
    """
    needs = "traces need OpenTelemetry"
    return _import("hooktide.app.tracing", "opentelemetry", needs, "otel", "--traces")


def _import(module: str, library: str, needs: str, extra: str, key: str) -> ModuleType:
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != library:
            raise
        raise ConfigError(f"{needs}: pip install 'hooktide[{extra}]'", key=key) from None
