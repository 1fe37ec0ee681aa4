"""Debian suites other than the machine's own, through a private apt.

The mirror is whatever this machine is configured with; its own apt state is only ever read. Signatures
are checked with the Debian keyring that is installed.
"""

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

from .errors import LabError

KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
COMMAND_TIMEOUT = 600  # seconds; an index is about 10 MB, a kernel about 70 MB


class PrivateApt:
    """An apt with its own sources, lists, cache and dpkg status, all inside `folder`."""

    def __init__(self, folder: Path, suites: list[str]):
        self._folder = folder
        self._suites = suites

    def update(self) -> None:
        """Fetches the suites' indexes. The first place that serves the first suite is used."""
        tried = []
        for main in main_uris():
            self._write_configuration(main)
            result = self._run("apt-get", "update", "-qq", check=False)
            if result.returncode == 0 and "\nE:" not in "\n" + result.stderr:
                return
            tried.append(f"{main}: {result.stderr.strip()}")
        raise LabError(f"no index of {' '.join(self._suites)}:\n" + "\n".join(tried))

    def control_field(self, package: str, field: str) -> str:
        """A field of the candidate version's control record."""
        text = self._run("apt-cache", "show", "--no-all-versions", package).stdout
        match = re.search(rf"^{re.escape(field)}: (.*)$", text, re.MULTILINE)
        if not match:
            raise LabError(f"{package} of {' '.join(self._suites)} has no field {field}")
        return match.group(1)

    def download(self, package: str) -> Path:
        """The .deb, its hash checked against the signed index by apt; the caller deletes it."""
        target = self._folder / "debs"
        target.mkdir(exist_ok=True)
        self._run("apt-get", "download", "-qq", package, cwd=target)
        found = list(target.glob(f"{package}_*.deb"))
        if len(found) != 1:
            raise LabError(f"apt downloaded {len(found)} files for {package}")
        return found[0]

    def _write_configuration(self, main: str) -> None:
        for name in ("lists/partial", "cache/archives/partial", "empty"):
            (self._folder / name).mkdir(parents=True, exist_ok=True)
        (self._folder / "status").touch()
        lines = []
        for suite in self._suites:
            uri = security_uri(main) if suite.endswith("-security") else main
            lines.append(f"deb [arch=amd64 signed-by={KEYRING}] {uri} {suite} main\n")
        (self._folder / "sources.list").write_text("".join(lines))
        (self._folder / "apt.conf").write_text(inherited_settings() + f"""
APT::Architecture "amd64";
APT::Sandbox::User "root";
Acquire::Languages "none";
Acquire::Check-Valid-Until "false";
Acquire::Retries "2";
Acquire::GzipIndexes "true";
Dir::Etc::sourcelist "{self._folder}/sources.list";
Dir::Etc::sourceparts "{self._folder}/empty";
Dir::Etc::parts "{self._folder}/empty";
Dir::Etc::main "{self._folder}/empty/none";
Dir::Etc::preferences "{self._folder}/empty/none";
Dir::Etc::preferencesparts "{self._folder}/empty";
Dir::State "{self._folder}";
Dir::State::lists "{self._folder}/lists";
Dir::State::status "{self._folder}/status";
Dir::Cache "{self._folder}/cache";
Dir::Cache::pkgcache "";
Dir::Cache::srcpkgcache "";
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
#clear APT::Update::Pre-Invoke;
#clear DPkg::Post-Invoke;
#clear DPkg::Pre-Invoke;
""")

    def _run(self, *command: str, check: bool = True, cwd: Path | None = None):
        environment = {**os.environ, "LC_ALL": "C", "APT_CONFIG": str(self._folder / "apt.conf")}
        try:
            result = subprocess.run(command, env=environment, cwd=cwd or self._folder, text=True,
                                    capture_output=True, timeout=COMMAND_TIMEOUT)
        except subprocess.TimeoutExpired as error:
            raise LabError(f"{' '.join(command)}: no end after {COMMAND_TIMEOUT} s") from error
        if check and result.returncode != 0:
            raise LabError(f"{' '.join(command)}: {result.stderr.strip()}")
        return result


def main_uris() -> list[str]:
    """Places that may serve a Debian release: the configured ones, then their archive of old releases.

    A wrong guess does no harm: what Debian's key has not signed is refused.
    """
    release = re.search(r"^VERSION_CODENAME=(\S+)", Path("/etc/os-release").read_text(), re.MULTILINE)
    configured = []
    for uri, suites, components in configured_sources():
        is_release = uri.endswith("/debian") or (release is not None and release[1] in suites)
        if uri.startswith("http") and "main" in components and is_release:
            configured.append(uri)
    if not configured:
        raise LabError("no Debian mirror in /etc/apt/sources.list or /etc/apt/sources.list.d")
    configured.sort(key=lambda uri: not uri.endswith("/debian"))
    archives = [uri.removesuffix("/debian") + "/debian-archive/debian" for uri in configured]
    return list(dict.fromkeys(configured + archives))


def security_uri(main: str) -> str:
    """The configured place of security updates, or the usual neighbour of `main`."""
    for uri, suites, _ in configured_sources():
        if uri.startswith("http") and any(suite.endswith("-security") for suite in suites):
            return uri
    return re.sub(r"/debian$", "/debian-security", main)


def configured_sources() -> Iterator[tuple[str, list[str], list[str]]]:
    """(uri, suites, components) of every binary source of this machine, in both of apt's formats."""
    base = Path("/etc/apt")
    for path in [base / "sources.list", *sorted((base / "sources.list.d").glob("*.list"))]:
        for line in path.read_text().splitlines() if path.exists() else []:
            match = re.match(r"\s*deb\s+(?:\[[^]]*\]\s*)?(\S+)\s+(\S+)\s+([^#]*)", line)
            if match:
                yield match[1].rstrip("/"), [match[2]], match[3].split()
    for path in sorted((base / "sources.list.d").glob("*.sources")):
        text = "\n".join(line for line in path.read_text().splitlines() if line[:1] != "#")
        for stanza in re.split(r"\n\s*\n", text):
            fields = dict(re.findall(r"^([A-Za-z-]+):\s*(.*(?:\n[ \t].*)*)", stanza, re.MULTILINE))
            if "deb" in fields.get("Types", "").split() and fields.get("Enabled", "yes") != "no":
                for uri in fields.get("URIs", "").split():
                    yield uri.rstrip("/"), fields.get("Suites", "").split(), \
                        fields.get("Components", "").split()


def inherited_settings() -> str:
    """The machine's own `Acquire` settings: a proxy, or a relaxed date check, is wanted here as well."""
    dump = subprocess.run(["apt-config", "dump"], capture_output=True, text=True, timeout=30).stdout
    wanted = re.compile(r'^Acquire::(?!IndexTargets|Changelogs|Languages|CompressionTypes).*"[^"]+";$')
    return "\n".join(line for line in dump.splitlines() if wanted.match(line))
