"""The command `lab/lab`."""

import argparse
import json
import shlex
import subprocess
import sys
import time

from . import accelerator, control, kernels, qemu, state
from .errors import LabError
from .guest import Guest
from .lab import Lab
from .options import GuestOptions


def main() -> int:
    arguments = _parser().parse_args()
    try:
        return arguments.command(arguments)
    except LabError as error:
        print(f"lab: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="lab", description="Boots real Debian kernels to test Outguard with.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    fetch = commands.add_parser("fetch", help="fetch kernels into the cache")
    fetch.add_argument("kernels", nargs="*", default=kernels.NAMES, metavar="KERNEL", help=" ".join(kernels.NAMES))
    fetch.set_defaults(command=_fetch)

    boot = commands.add_parser("boot", help="boot one guest and keep it until Ctrl-C")
    boot.add_argument("--kernel", default=GuestOptions.kernel, choices=kernels.NAMES)
    boot.add_argument("--cpus", type=int, default=1)
    boot.add_argument("--ram", type=int, default=512, metavar="MIB")
    boot.add_argument("--machine", default="pc", choices=("pc", "q35"))
    boot.add_argument("--cpu", default="", help="QEMU's CPU model; max has 5-level paging")
    boot.add_argument("--accel", default="", choices=("", "kvm", "tcg"))
    boot.add_argument("--memfd", action="store_true", help="guest RAM in a shared memfd")
    boot.add_argument("--nics", type=int, default=1)
    boot.add_argument("--name", default="")
    boot.add_argument("--append", default="", help="further words for the kernel's command line")
    boot.add_argument("--address", action="append", default=[], help="a further address of the world")
    boot.add_argument("--role", action="append", default=[], help="a role to start: 'tcp-client 203.0.113.66:4444 1'")
    boot.add_argument("--sh", help="run this in the guest, print its output, end")
    boot.set_defaults(command=_boot)

    for name, text in (("sh", "run a shell command in a running guest"), ("run", "start a role in a running guest")):
        command = commands.add_parser(name, help=text)
        command.add_argument("name", metavar="NAME")
        command.add_argument("words", nargs=argparse.REMAINDER, metavar="...")
        command.set_defaults(command=_shell if name == "sh" else _run)
    for name, text in (("truth", "what a guest says about itself, JSON lines"), ("talk", "exchanges of a guest's roles"),
                       ("roles", "the roles that a guest can play")):
        command = commands.add_parser(name, help=text)
        command.add_argument("name", metavar="NAME")
        command.set_defaults(command=_ask, word=name)

    commands.add_parser("list", help="running guests").set_defaults(command=_list)
    commands.add_parser("probe", help="what this machine can do, one JSON object").set_defaults(command=_probe)
    commands.add_parser("clean", help="remove what dead runs left").set_defaults(command=_clean)
    return parser


def _fetch(arguments: argparse.Namespace) -> int:
    for name in arguments.kernels:
        print(f"{name} {kernels.fetch(name).release}")
    return 0


def _boot(arguments: argparse.Namespace) -> int:
    with Lab() as lab:
        guest = lab.guest(kernel=arguments.kernel, cpus=arguments.cpus, ram=arguments.ram, machine=arguments.machine,
                          cpu=arguments.cpu, accel=arguments.accel, memfd=arguments.memfd, nics=arguments.nics,
                          name=arguments.name, append=arguments.append, addresses=tuple(arguments.address))
        for role in arguments.role:
            words = shlex.split(role)
            print(f"{words[0]}: {guest.run(*words)}", file=sys.stderr)
        if arguments.sh is not None:
            status, output = guest.sh(arguments.sh)
            print(output, end="")
            return status
        control.serve(guest)
        _describe(guest)
        while guest.is_running():
            time.sleep(0.5)
        raise LabError(f"{guest.name} ended by itself\n{guest.console()[-2000:]}")


def _describe(guest: Guest) -> None:
    print(f"""\
target   {guest.target}
name     {guest.name}  uuid {guest.uuid}  QEMU pid {guest.pid}  {guest.accel}  ready after {guest.boot_seconds:.1f} s
network  namespace {guest.switch} holds tap {guest.tap} and bridge br0; {guest.world} holds the remote side
inside   lab/lab sh {guest.name} CMD    lab/lab truth {guest.name}    lab/lab run {guest.name} ROLE ARGS
Ctrl-C ends it.""", flush=True)


def _shell(arguments: argparse.Namespace) -> int:
    return _print_answer(control.request(arguments.name, "sh", " ".join(arguments.words)))


def _run(arguments: argparse.Namespace) -> int:
    role, *rest = arguments.words or [""]
    return _print_answer(control.request(arguments.name, "run", role, "-", *rest))


def _ask(arguments: argparse.Namespace) -> int:
    return _print_answer(control.request(arguments.name, arguments.word))


def _print_answer(answer: tuple[int, bytes]) -> int:
    status, output = answer
    sys.stdout.buffer.write(output)
    return status


def _list(_: argparse.Namespace) -> int:
    for path in control.running_guests():
        print(f"{path.name} qmp:{path}/qmp")
    return 0


def _probe(_: argparse.Namespace) -> int:
    found = {"qemu": _first_line(qemu.BINARY, "--version"), "tun": _can_make_tap(), "accelerator": None,
             "kernels": {}}
    for name in kernels.NAMES:
        kernel = kernels.cached(name)
        found["kernels"][name] = kernel.release if kernel else None
    if found["qemu"]:
        found["accelerator"] = accelerator.best_accelerator()
    print(json.dumps(found))
    return 0 if found["qemu"] and found["tun"] else 1


def _can_make_tap() -> bool:
    """In a namespace of its own, which ends with the command."""
    result = subprocess.run(["unshare", "--net", "ip", "tuntap", "add", "dev", "probe0", "mode", "tap"],
                            capture_output=True, timeout=20)
    return result.returncode == 0


def _first_line(*command: str) -> str | None:
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=20).stdout.splitlines()[0]
    except (OSError, IndexError):
        return None


def _clean(_: argparse.Namespace) -> int:
    for path, lives in state.folders():
        if not lives:
            print(f"removing what run {path.name} left")
            state.clean_folder(path)
    return 0
