"""Builds and runs the image of the Dockerfile without a container engine: each step in an overlay root.

This machine's own root stands in for the base image, below everything that the steps write.
"""

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import IO

from dockerfile_parse import DockerfileParser

ROOT = Path(__file__).parents[1]
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

UNSHARE = (
    ("unshare", "--mount") if os.geteuid() == 0 else ("unshare", "--user", "--map-root-user", "--map-auto", "--mount")
)

# Arguments: the overlay's layers, its mount point, the working directory in there, then the command.
BUILD = """
mount -t overlay overlay -o "$1" "$2" && cd "$2" && mount -t proc proc proc && mount --rbind /dev dev || exit 99
mkdir -p ".$3" && root=$2 folder=$3 && shift 3 && exec chroot "$root" sh -c 'cd "$0" && exec "$@"' "$folder" "$@"
"""

# As above; before the command come the folders that are mounted on /data and /mnt, and the user. The root is read-only.
RUN = """
mount -t overlay overlay -o "$1" "$2" && mount -o remount,ro "$2" && cd "$2" || exit 99
mount -t proc proc proc && mount --rbind /dev dev && mount -t tmpfs none tmp || exit 99
mount --bind "$3" data && mount --bind "$4" mnt && mount -o remount,bind,ro mnt || exit 99
root=$2 user=$5 && shift 5 && exec chroot --userspec "$user" "$root" "$@"
"""


@dataclass
class Stage:
    """A stage of the build: what its steps have written, and its instructions for running it."""

    layer: Path
    folder: str = "/"
    user: str = "0:0"
    environment: dict[str, str] = field(default_factory=dict)
    said: dict[str, str] = field(default_factory=dict)

    def command(self, instruction: str) -> list[str]:
        """The words of ENTRYPOINT, CMD or HEALTHCHECK in exec form."""
        return list(json.loads(self.said[instruction][self.said[instruction].index("[") :]))


class Image:
    """The image that a Dockerfile builds from a checkout, in a temporary folder."""

    def __init__(self, work: Path, given: Mapping[str, str]) -> None:
        """Run the steps; `given` are environment variables for them, in place of build arguments."""
        self._work = work
        self._given = given
        self._stages: dict[str, Stage] = {}
        parser = DockerfileParser(fileobj=BytesIO((ROOT / "Dockerfile").read_bytes()))
        for step in parser.structure:
            self._do(step["instruction"], step["value"])
        self.stage = [*self._stages.values()][-1]

    def _do(self, instruction: str, value: str) -> None:
        if instruction in {"COMMENT", "ARG"}:
            return
        if instruction == "FROM":
            name = value.rpartition(" AS ")[2] if " AS " in value else "last"
            layer = self._work / name
            layer.mkdir(parents=True)
            self._stages[name] = Stage(layer)
            return
        stage = [*self._stages.values()][-1]
        match instruction:
            case "RUN":
                self._run(stage, value)
            case "COPY":
                self._copy(stage, value)
            case "WORKDIR":
                stage.folder = value
            case "USER":
                stage.user = value
            case "ENV":
                stage.environment |= dict(pair.split("=", 1) for pair in shlex.split(value))
            case _:
                stage.said[instruction] = value

    def _run(self, stage: Stage, command: str) -> None:
        if command.startswith("apt-get"):  # this machine's packages stand in for those of the image
            [names] = re.findall(r"install --yes --no-install-recommends ([\w -]+?) &&", command)
            assert shutil.which("strip")
            assert names == "binutils"
            return
        work, seen = self._folders()
        options = f"lowerdir=/,upperdir={stage.layer},workdir={work}"
        subprocess.run(  # noqa: S603 - the project's own Dockerfile
            [*UNSHARE, "sh", "-c", BUILD, "build", options, str(seen), stage.folder, "sh", "-c", command],
            check=True,
            timeout=240,
            env={**os.environ, "PATH": PATH, **self._given, **stage.environment},  # with access to the network
        )

    def _copy(self, stage: Stage, value: str) -> None:
        *options, last = [word for word in value.split() if word.startswith("--")] + [""]
        words = [word for word in value.split() if not word.startswith("--")]
        origin = self._stages[options[0].removeprefix("--from=")].layer if options else ROOT
        assert not last
        target = stage.layer / str(Path(stage.folder, words[-1])).lstrip("/")
        for word in words[:-1]:
            source = origin / word.strip("/")
            if source.is_dir():
                shutil.copytree(
                    source, target, symlinks=True, ignore=shutil.ignore_patterns("__pycache__") if not options else None
                )
            elif words[-1].endswith("/"):
                target.mkdir(parents=True, exist_ok=True)
                shutil.copy(source, target)
            else:
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(source, target)

    def _folders(self) -> tuple[Path, Path]:
        made = self._work / f"mounts-{len([*self._work.iterdir()])}"
        for name in ("work", "seen"):
            (made / name).mkdir(parents=True)
        return made / "work", made / "seen"

    def start(
        self,
        command: Sequence[str],
        data: Path,
        media: Path,
        *,
        user: str = "",
        environment: Mapping[str, str] | None = None,
        output: int | IO[bytes] = subprocess.PIPE,
    ) -> "Running":
        """Run a command as the image's first process, on a read-only root; only one at a time."""
        work, seen = self._folders()
        options = f"lowerdir=/,upperdir={self.stage.layer},workdir={work}"
        around = [*UNSHARE, "--pid", "--fork", "--kill-child", "sh", "-c", RUN]
        inside = ["run", options, str(seen), str(data), str(media), user or self.stage.user]
        variables = {"PATH": PATH, **self.stage.environment, **(environment or {})}
        words = [*around, *inside, *self.stage.command("ENTRYPOINT"), *command]
        started = subprocess.Popen(words, stdout=output, stderr=output, env=variables)  # noqa: S603 - as above
        return Running(started, seen, user or self.stage.user, variables)


@dataclass(frozen=True)
class Running:
    """A container that `Image.start` has started."""

    process: "subprocess.Popen[bytes]"
    root: Path
    user: str
    environment: Mapping[str, str]

    @property
    def first(self) -> int:
        """The pid, seen from outside, of the process that is 1 in the container."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return int(children[0])

    def stop(self) -> int:
        """Stop the first process as a container engine does, and return its status."""
        os.kill(self.first, signal.SIGTERM)
        return self.process.wait(timeout=60)

    def execute(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a command beside the first process, as `docker exec` does."""
        enter = ["nsenter", "--target", str(self.first), "--mount", "--pid"]
        if os.geteuid():
            enter.append("--user")
        return subprocess.run(  # noqa: S603 - as above
            [*enter, "chroot", "--userspec", self.user, str(self.root), *command],
            capture_output=True, text=True, check=False, timeout=60, env=self.environment,
        )  # fmt: skip
