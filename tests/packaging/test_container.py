"""The image: it builds, runs unprivileged on a read-only root, is healthy, finds films, and stops on request."""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from compose_spec import PyCompose

from clips import write_clip
from container_image import ROOT, Image
from playhead.config import CONFIG_VARIABLE, ENVIRONMENT_PREFIX, Settings

FFMPEG = ("av", "av.libs")
# 103 MB when this was written, of which cryptography, for signing in elsewhere, is 15 MB: growth is to be noticed.
MOST_BYTES_WITHOUT_FFMPEG = 106_000_000
MOST_COMPRESSED_BYTES = 75_000_000  # 70 MB when this was written, of which FFmpeg is 36 MB
OWNER = 1234


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Image:
    """The image, built with the packages that this checkout has downloaded already."""
    cache = {"UV": str(ROOT / ".tools/bin/uv"), "UV_NO_CACHE": "0", "UV_CACHE_DIR": str(Path.home() / ".cache/uv")}
    return Image(tmp_path_factory.mktemp("image"), cache)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    return folder


@pytest.fixture
def media(tmp_path: Path) -> Path:
    folder = tmp_path / "media"
    folder.mkdir(mode=0o755)
    write_clip(folder / "Harbour Lights (2019).mkv")
    return folder


class Container:
    """A server of the image, and commands in its container; without the server, each command has its own container."""

    def __init__(self, image: Image, data: Path, media: Path, user: str, environment: Mapping[str, str]) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = str(free.getsockname()[1])
        self._environment = {"PLAYHEAD_PORT": port, "PLAYHEAD_HOST": "127.0.0.1", **environment}
        self._user = user
        self._image, self._data, self._media = image, data, media
        self._log = data.parent / "log"
        with self._log.open("wb") as log:
            self.server = image.start(
                image.stage.command("CMD"), data, media, user=user, environment=self._environment, output=log
            )

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        if self.server.process.poll() is None:
            return self.server.execute(*self._image.stage.command("ENTRYPOINT"), *words)
        alone = self._image.start(words, self._data, self._media, user=self._user, environment=self._environment)
        output, errors = alone.process.communicate(timeout=60)
        return subprocess.CompletedProcess(words, alone.process.returncode, output.decode(), errors.decode())

    def wait_until_healthy(self) -> None:
        [program, *words] = self._image.stage.command("HEALTHCHECK")
        assert [program] == self._image.stage.command("ENTRYPOINT")
        deadline = time.monotonic() + 60
        while not self._log.stat().st_size or self.run(*words).returncode:
            assert self.server.process.poll() is None, self._log.read_text()
            assert time.monotonic() < deadline, self._log.read_text()

    def printed(self) -> str:
        return self._log.read_text()

    def status(self) -> dict[str, str]:
        """What the kernel reports about the first process."""
        lines = Path(f"/proc/{self.server.first}/status").read_text().splitlines()
        return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


@pytest.fixture
def opened() -> Iterator[list[Container]]:
    containers: list[Container] = []
    yield containers
    for each in containers:
        if each.server.process.poll() is None:
            each.server.process.kill()
            each.server.process.wait()


@pytest.mark.long
def test_the_image_serves_unprivileged_on_a_read_only_root_and_stops_on_request(
    image: Image, data: Path, media: Path, opened: list[Container]
):
    os.chown(data, 1000, 1000)
    container = Container(image, data, media, "", {})
    opened.append(container)
    container.wait_until_healthy()
    status = container.status()
    assert status["Uid"].split() == ["1000"] * 4
    assert status["NSpid"].split()[-1] == "1"
    assert "/setup" in container.printed()
    assert container.run("health", "--ready").stdout == "ready\n"
    assert container.run("library", "add", "Films", "/mnt", "--kind", "movies").returncode == 0
    scanned = container.run("scan")
    assert "1 movie in 1 file added" in scanned.stdout, scanned.stderr
    assert [each["title"] for each in json.loads(container.run("items", "--json").stdout)] == ["Harbour Lights"]
    assert container.run("db", "backup", "/data/copy.db").returncode == 0
    assert container.run("db", "restore", "/data/copy.db").returncode == 1
    assert container.server.stop() == 0
    assert container.run("health").returncode == 1
    assert container.run("db", "restore", "/data/copy.db").returncode == 0
    assert {each.stat().st_uid for each in data.rglob("*")} == {1000}


@pytest.mark.long
def test_started_as_root_it_switches_to_the_owner_of_the_data_and_so_do_its_commands(
    image: Image, data: Path, media: Path, opened: list[Container]
):
    (data / "of-before").write_bytes(b"")
    container = Container(image, data, media, "0:0", {"PUID": str(OWNER), "PGID": "100"})
    opened.append(container)
    container.wait_until_healthy()
    status = container.status()
    assert status["Uid"].split() == [str(OWNER)] * 4
    assert status["Gid"].split() == ["100"] * 4
    assert (status["CapBnd"], status["CapEff"], status["NoNewPrivs"]) == ("0" * 16, "0" * 16, "1")
    assert container.run("user", "list").returncode == 0
    assert container.server.stop() == 0
    assert {(each.stat().st_uid, each.stat().st_gid) for each in [data, *data.rglob("*")]} == {(OWNER, 100)}


@pytest.mark.long
@pytest.mark.parametrize(
    ("user", "environment", "words"),
    [
        ("0:0", {"PUID": "0"}, "PUID must not be 0"),
        ("0:0", {"PUID": "anna"}, "PUID and PGID must be numbers"),
        ("0:0", {"PGID": ""}, ""),
        ("", {}, "/data cannot be written by user 1000, group 1000"),
    ],
)
def test_an_impossible_user_is_reported_in_one_line(
    image: Image, data: Path, media: Path, user: str, environment: dict[str, str], words: str
):
    data.chmod(0o755 if words else 0o700)  # permissions that are too wide are reported, too
    started = image.start(["user", "list"], data, media, user=user, environment=environment)
    _, errors = started.process.communicate(timeout=60)
    assert started.process.returncode == (1 if words else 0)
    assert words in errors.decode()
    assert errors.count(b"\n") == (1 if words else 0)


@pytest.mark.long
def test_an_ignored_puid_is_reported(image: Image, data: Path, media: Path):
    os.chown(data, 1000, 1000)
    started = image.start(["user", "list"], data, media, environment={"PUID": "99"})
    _, errors = started.process.communicate(timeout=60)
    assert started.process.returncode == 0, errors
    assert b"PUID is 99, but the container runs as 1000" in errors


@pytest.mark.long
def test_the_image_is_quick_to_download(image: Image):
    """Registries keep and send layers compressed; below it is Python's slim image, of some 45 MB."""
    script = 'tar --create --directory "$0" . | gzip | wc --bytes'
    counted = subprocess.run(["sh", "-c", script, image.stage.layer], capture_output=True, check=True)  # noqa: S603, S607
    assert int(counted.stdout) < MOST_COMPRESSED_BYTES


@pytest.mark.long
def test_without_ffmpeg_the_environment_is_small(image: Image):
    [site] = (image.stage.layer / "opt/playhead/lib").glob("python*/site-packages")
    sizes = {each.name: sum(file.lstat().st_size for file in [each, *each.rglob("*")]) for each in site.iterdir()}
    rest = sum(size for name, size in sizes.items() if name not in FFMPEG)
    assert rest < MOST_BYTES_WITHOUT_FFMPEG, sorted(sizes.items(), key=lambda pair: -pair[1])[:12]


def test_hadolint_finds_nothing_in_the_dockerfile():
    hadolint = Path(sys.executable).with_name("hadolint")
    found = subprocess.run([hadolint, ROOT / "Dockerfile"], capture_output=True, text=True, check=False)  # noqa: S603
    assert found.stdout + found.stderr == ""
    assert found.returncode == 0


def test_the_build_context_contains_exactly_what_is_copied():
    allowed = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied: set[str] = set()
    for line in re.findall(r"^COPY (?!--from)(.+)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE):
        copied |= {word.strip("/") for word in line.split()[:-1]}
    assert {
        name for name in copied if not any(name == each or name.startswith(f"{each}/") for each in allowed)
    } == set()
    assert {
        name for name in allowed if not any(each == name or each.startswith(f"{name}/") for each in copied)
    } == set()


# Compose


def compose(name: str) -> PyCompose:
    """A compose file, with its variables as suggested by its comments."""
    values = {"LISTEN": "127.0.0.1", "MEDIA": "/srv/films", "POSTGRES_PASSWORD": "secret"}
    text = re.sub(r"\$\{(\w+)(?::[-?][^}]*)?\}", lambda found: values[found[1]], (ROOT / name).read_text())
    return PyCompose.from_yaml(text)


@pytest.mark.parametrize("name", ["compose.yaml", "compose.postgres.yaml"])
def test_a_compose_file_keeps_to_the_specification_and_names_settings_that_exist(name: str):
    document = compose(name)
    if name == "compose.yaml":
        document.validate()
    settings = {f"{ENVIRONMENT_PREFIX}{each.upper()}" for each in Settings.model_fields} | {CONFIG_VARIABLE}
    named = set(re.findall(rf"\b{ENVIRONMENT_PREFIX}[A-Z_]+", (ROOT / name).read_text()))
    assert named <= settings
    assert document.service_names()


def test_the_images_variables_are_settings():
    settings = {f"{ENVIRONMENT_PREFIX}{each.upper()}" for each in Settings.model_fields}
    named = set(re.findall(rf"\b{ENVIRONMENT_PREFIX}[A-Z_]+", (ROOT / "Dockerfile").read_text()))
    assert named == {"PLAYHEAD_DATA", "PLAYHEAD_HOST"} <= settings


def test_the_scripts_of_the_container_pass_shellcheck():
    for script in sorted((ROOT / "scripts/container").iterdir()):
        assert os.access(script, os.X_OK)
        shell = shutil.which("dash") or "sh"
        assert subprocess.run([shell, "-n", script], check=False).returncode == 0  # noqa: S603
