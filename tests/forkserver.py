"""Forks processes of ``hooktide`` for ``forkkit``.

Each test process runs one fork server. The server has already imported everything, so starting a
command takes hundredths of a second of CPU time instead of more than one. The parent of each fork
waits for it and reports its exit code.
"""

import gc
import importlib
import json
import os
import pkgutil
import signal
import socket
import sys

import hooktide.cli.commands
from hooktide.cli import main

MAX_REQUEST_BYTES = 1 << 20
ALSO = ("hooktide.app.processes.serve", "hooktide.store.postgres", "hooktide.store.sqlite")


def import_all() -> None:
    """Import what a command would import when it runs."""
    found = pkgutil.iter_modules(hooktide.cli.commands.__path__)
    for name in (*(f"hooktide.cli.commands.{each.name}" for each in found), *ALSO):
        importlib.import_module(name)
    gc.collect()
    gc.freeze()


def next_command(control: socket.socket) -> list[str]:
    """Fork for each request. This returns only in the forks, with the command to run."""
    while True:
        request, files, _, _ = socket.recv_fds(control, MAX_REQUEST_BYTES, 3)
        if not request:
            sys.exit()
        if os.fork() == 0:
            control.close()
            return _mind(*files, **json.loads(request))
        for file in files:
            os.close(file)


def _mind(
    out: int, err: int, status: int, *, words: list[str], env: dict[str, str], cwd: str
) -> list[str]:
    """Fork the command's process, and exit when it has exited."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    pid = os.fork()
    if pid == 0:
        os.close(status)
        os.dup2(out, 1)
        os.dup2(err, 2)
        os.close(out)
        os.close(err)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        os.environ.clear()
        os.environ.update(env)
        os.chdir(cwd)
        return ["hooktide", *words]
    os.close(out)
    os.close(err)
    os.write(status, b"%d\n" % pid)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    os.write(status, b"%d\n" % code)
    os._exit(0)


if __name__ == "__main__":
    import_all()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    sys.argv = next_command(socket.socket(fileno=int(sys.argv[1])))
    main()
