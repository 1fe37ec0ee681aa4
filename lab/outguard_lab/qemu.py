"""QEMU's command line for one guest. Stock QEMU, nothing patched, no option that a host would not use."""

from pathlib import Path

from .network import GuestNetwork
from .options import GuestOptions

BINARY = "qemu-system-x86_64"
MOST_RESERVED = 8192  # MiB


def command_line(options: GuestOptions, folder: Path, network: GuestNetwork, kernel: Path, initramfs: Path,
                 accel: str) -> list[str]:
    """`folder` holds the sockets and logs; see state.py."""
    command = [
        BINARY, "-nodefaults", "-no-user-config", "-display", "none",
        "-name", options.name, "-uuid", options.uuid,
        "-machine", _machine(options), "-accel", accel, "-cpu", _cpu(options, accel),
        "-smp", str(options.cpus), "-m", _memory(options),
        "-kernel", str(kernel), "-initrd", str(initramfs), "-append", _kernel_words(options, network, accel),
        "-chardev", f"file,id=console,path={folder}/console.log", "-serial", "chardev:console",
        "-chardev", f"socket,id=agent,path={folder}/agent,server=on,wait=off", "-serial", "chardev:agent",
    ]
    if options.qmp:
        command += ["-qmp", f"unix:{folder}/qmp,server=on,wait=off"]
    if options.reboots:  # what kexec starts is read off two disks
        for number, path in enumerate((kernel, initramfs)):
            command += ["-drive", f"if=none,id=boot{number},file={path},format=raw,read-only=on",
                        "-device", f"virtio-blk-pci,drive=boot{number}"]
    else:
        command += ["-no-reboot"]
    if options.balloon:
        command += ["-device", "virtio-balloon-pci"]
    if options.memfd:
        command += ["-object", f"memory-backend-memfd,id=ram,size={options.ram}M,share=on{_reserve(options)}"]
    elif _reserve(options):
        command += ["-object", f"memory-backend-ram,id=ram,size={options.ram}M{_reserve(options)}"]
    for card, tap in enumerate(network.taps):
        command += ["-netdev", f"tap,id=net{card},ifname={tap},script=no,downscript=no,vhost=off",
                    "-device", f"virtio-net-pci,netdev=net{card},mac={network.mac(card)},romfile="]
    return command


def _machine(options: GuestOptions) -> str:
    return options.machine + (",memory-backend=ram" if options.memfd or _reserve(options) else "")


def _reserve(options: GuestOptions) -> str:
    """More RAM than the host may have is given page by page, as the guest touches it."""
    return ",reserve=off" if options.ram > MOST_RESERVED else ""


def _memory(options: GuestOptions) -> str:
    return f"{options.ram}M" + (f",slots=4,maxmem={options.most_ram}M" if options.most_ram else "")


def _cpu(options: GuestOptions, accel: str) -> str:
    if accel == "kvm":
        return options.cpu or "host"
    # QEMU 7.2's TCG leaves stray flags behind cmpxchg16b; an interrupt right there saves and restores them,
    # and some boots of 6.12 die of it. Without the feature the kernel takes its other path.
    return (options.cpu or "qemu64") + ",-cx16"


def _kernel_words(options: GuestOptions, network: GuestNetwork, accel: str) -> str:
    words = ["console=ttyS0", "quiet", "loglevel=4", "panic=-1", "rdinit=/init", f"lab_name={options.name}",
             "lab_gateways=10.77.0.1,fd77::1"]
    words += [f"lab_eth{card}={','.join(network.card_addresses(card))}" for card in range(options.nics)]
    if accel == "tcg":
        # On a busy host the emulated timer comes too late for the kernel's check of it, and the boot panics. Under
        # KVM the kernel sets this by itself (arch/x86/kernel/kvm.c).
        words.append("no_timer_check")
    return " ".join([*words, options.append]).strip()
