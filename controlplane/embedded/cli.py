"""The command line of the embedded services and of the supervisor."""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from types import FrameType

from controlplane.embedded.errors import EmbeddedError
from controlplane.embedded.home import Home, read_json
from controlplane.embedded.processes import is_alive
from controlplane.embedded.services import VARIABLES, Services
from controlplane.embedded.supervisor import Supervisor, stop

FAILED = 2


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    try:
        return int(options.function(options))
    except (EmbeddedError, TimeoutError) as error:
        sys.stderr.write(f"{error}\n")
        return FAILED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m controlplane.embedded", description="Touchstone and its services on one machine."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, function: object, text: str) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=text, description=text)
        sub.add_argument("--home", help="folder of all state (default: TOUCHSTONE_HOME, then var)")
        sub.set_defaults(function=function)
        return sub

    run = command(
        "run", _run, "Start PostgreSQL and Redis where DATABASE_URL and REDIS_URL name none, run a command, stop them."
    )
    run.add_argument("--fast", action="store_true", help="no durability: for tests")
    run.add_argument("command", nargs=argparse.REMAINDER, metavar="-- CMD", help="the command")
    up = command("up", _up, "Start and watch the whole installation: services, web, worker, beat, relay. Ctrl-C stops it.")
    up.add_argument("--host", default=os.environ.get("TOUCHSTONE_HOST") or "127.0.0.1", help="address the web server binds to")
    up.add_argument(
        "--port", default=os.environ.get("PORT") or "8000", help="port of the web server (default: PORT, then 8000)"
    )
    up.add_argument("--demo", action="store_true", help="run the demo world on it (manage.py demo)")
    up.add_argument("--once", action="store_true", help="with --demo: stop everything when one full cycle is done")
    command("status", _status, "Say what runs.")
    command("stop", _stop, "Stop the supervisor of this home and its services, or services that a killed one left.")
    destroy = command("destroy", _destroy, "Stop everything and delete the home with all its data.")
    destroy.add_argument("--yes", action="store_true", required=True, help="confirms that all data go")
    return parser


def _run(options: argparse.Namespace) -> int:
    command = options.command[1:] if options.command[:1] == ["--"] else options.command
    if not command:
        raise EmbeddedError("Which command? python -m controlplane.embedded run -- CMD")
    home = Home.of(options.home)
    services = Services(home, fast=options.fast)
    # The command gets the signal from the terminal too; we outlive it to stop the services.
    with _deferred_signals() as forward:
        variables = services.start()
        try:
            child = subprocess.Popen(command, env=os.environ | variables | {"TOUCHSTONE_HOME": str(home.path)})
            forward.append(child)
            code = child.wait()
        except FileNotFoundError as error:
            raise EmbeddedError(f"{error.filename}: no such command.") from None
        finally:
            services.stop()
    return code if code >= 0 else 128 - code


@contextlib.contextmanager
def _deferred_signals() -> Iterator[list[subprocess.Popen[bytes]]]:
    """Pass SIGTERM and SIGHUP on to the command; ignore SIGINT, which the terminal sends to the command as well."""
    children: list[subprocess.Popen[bytes]] = []

    def pass_on(number: int, _frame: FrameType | None) -> None:
        for child in children:
            child.send_signal(number)

    old = {number: signal.signal(number, pass_on) for number in (signal.SIGTERM, signal.SIGHUP)}
    old[signal.SIGINT] = signal.signal(signal.SIGINT, lambda *_: None)
    try:
        yield children
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)


def _up(options: argparse.Namespace) -> int:
    if not options.port.isdecimal() or not 0 < int(options.port) < 65536:
        raise EmbeddedError(f"PORT must be a number from 1 to 65535, not {options.port!r}.")
    task = [sys.executable, "manage.py", "demo", *(["--once"] if options.once else [])] if options.demo else None
    home = Home.of(options.home)
    return Supervisor(home, port=int(options.port), host=options.host, task=task, once=options.once).run()


def _status(options: argparse.Namespace) -> int:
    home = Home.of(options.home)
    status = Services(home).status()
    for name, known in status.items():
        if os.environ.get(VARIABLES[name]):
            text = f"outside, named by {VARIABLES[name]}"
        else:
            text = f"running, process {known['pid']}, 127.0.0.1:{known['port']}" if known else "not running"
        sys.stdout.write(f"{name:<12}{text}\n")
    for name, known in read_json(home.run / "supervisor.json").get("children", {}).items():
        sys.stdout.write(f"{name:<12}{'running' if is_alive(known) else 'not running'}, process {known['pid']}\n")
    return 0 if any(status.values()) else 1


def _stop(options: argparse.Namespace) -> int:
    stop(Home.of(options.home), say=lambda text: sys.stdout.write(text + "\n"))
    return 0


def _destroy(options: argparse.Namespace) -> int:
    home = Home.of(options.home)
    stop(home)
    Services(home).destroy()
    return 0
