"""`stepreplay pull` and `push` with servers that speak S3: moto's, and nanio, which checks who asks, as MinIO does."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from pytest_stepreplay.models import Cassette
from pytest_stepreplay.remote import lock_file
from pytest_stepreplay.store.cassettes import write_cassette

from .conftest import Result, chat, user

# Not among the tests' requirements: pip finds no boto3 for it and moto's server in reasonable time.
pytest.importorskip("s3fs")

KEY = {"AWS_ACCESS_KEY_ID": "team-of-ann", "AWS_SECRET_ACCESS_KEY": "b7Kq2xP9wLm4TzR8vNc3"}
WITHOUT = {"AWS_EC2_METADATA_DISABLED": "true", "AWS_CONFIG_FILE": os.devnull, "HOME": os.devnull}
MOTO = """
import sys
from moto.server import ThreadedMotoServer
server = ThreadedMotoServer(port=0, verbose=False)
server.start()
print(server.get_host_and_port()[1], flush=True)
sys.stdin.read()
"""
NANIO = """
import os, socket, sys, threading, uvicorn
listening = socket.socket()
listening.bind(("127.0.0.1", 0))
print(listening.getsockname()[1], flush=True)
server = uvicorn.Server(uvicorn.Config("nanio.app:build_app", factory=True, log_level="critical"))
threading.Thread(target=lambda: (sys.stdin.read(), os._exit(0)), daemon=True).start()
server.run(sockets=[listening])
"""
FORKS = """
import io, json, os, signal, sys
from contextlib import redirect_stderr, redirect_stdout
from pkgutil import resolve_name
from functools import cache
import aiohttp, botocore.loaders, botocore.session, s3fs
from pytest_stepreplay.cli import main, naming, project, syncing
from pytest_stepreplay.remote import objects, transfers

# What each child would import and read again is there before.
load = botocore.loaders.JSONFileLoader.load_file
known = cache(lambda path: load(botocore.loaders.JSONFileLoader(), path))
botocore.loaders.JSONFileLoader.load_file = lambda self, path: known(path)
botocore.session.get_session().create_client("s3", "us-east-1", aws_access_key_id="a", aws_secret_access_key="b")

def die_in(place, at):
    place, _, name = place.rpartition(".")
    owner, calls = resolve_name(place), []
    real = getattr(owner, name)
    def replacement(*args, **kwargs):
        calls.append(args)
        if len(calls) == at:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(*args, **kwargs)
    setattr(owner, name, replacement)

def run(job):
    os.chdir(job["folder"])
    os.environ.update(job["environment"])
    if job["killed"]:
        die_in(*job["killed"])
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        status = main(job["args"])
    return json.dumps([status, out.getvalue(), err.getvalue()])

for line in sys.stdin:
    running = []
    for job in json.loads(line):
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            os.write(writer, run(job).encode())
            os._exit(0)
        os.close(writer)
        running.append((child, reader))
    ended = []
    for child, reader in running:
        with open(reader) as file:
            told = file.read()
        os.waitpid(child, 0)
        ended.append(json.loads(told) if told else [-9, "", ""])
    print(json.dumps(ended), flush=True)
"""


@contextmanager
def process(code: str, **environment: str) -> Iterator[subprocess.Popen[str]]:
    """Runs some Python that ends when nobody writes to it any more."""
    words = [sys.executable, "-W", "ignore", "-c", code]
    pipes: dict[str, Any] = {
        "stdin": subprocess.PIPE,
        "stdout": subprocess.PIPE,
        "stderr": subprocess.DEVNULL,
    }
    with subprocess.Popen(words, text=True, env={**os.environ, **environment}, **pipes) as running:
        yield running
        running.communicate()


def put(url: str, text: str = "") -> None:
    """Tells moto something: it does not ask who does."""
    headers = {"content-type": "application/json"}
    urllib.request.urlopen(urllib.request.Request(url, text.encode(), headers, method="PUT")).close()


@dataclass(frozen=True)
class Server:
    """A server that speaks S3, with a bucket."""

    url: str
    folder: Path | None = None


@pytest.fixture(scope="module")
def moto() -> Iterator[Server]:
    with process(MOTO) as running:
        url = f"http://127.0.0.1:{running.stdout.readline().strip()}"  # type: ignore[union-attr]
        put(f"{url}/bucket")
        yield Server(url)


@pytest.fixture(scope="module")
def nanio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("nanio")
    (folder / "bucket").mkdir()
    keys = {"NANIO_ACCESS_KEY": KEY["AWS_ACCESS_KEY_ID"], "NANIO_SECRET_KEY": KEY["AWS_SECRET_ACCESS_KEY"]}
    with process(NANIO, NANIO_DATA_DIR=str(folder), **keys) as running:
        yield Server(f"http://127.0.0.1:{running.stdout.readline().strip()}", folder)  # type: ignore[union-attr]


@pytest.fixture(scope="module")
def forks() -> Iterator[subprocess.Popen[str]]:
    with process(FORKS) as running:
        yield running


@dataclass(frozen=True)
class People:
    """Checkouts of one project, each with commands that are processes of their own."""

    root: Path
    forks: subprocess.Popen[str]
    store: str
    server: str
    name: str

    def checkout(self, name: str) -> Path:
        """Makes a copy of the project."""
        path = self.root / name
        (path / "cassettes").mkdir(parents=True)
        retries = '{"retries": {"max_attempts": 1}, "connect_timeout": 5}'
        (path / "pytest.ini").write_text(
            f"[pytest]\nstepreplay_store = {self.store}\nstepreplay_store_options =\n"
            f"    endpoint_url: {self.server}\n    config_kwargs: {retries}\n"
        )
        return path

    def run(
        self, folder: Path, *args: str, keys: dict[str, str] = KEY, killed: tuple[str, int] | None = None
    ) -> Result:
        """Runs a command."""
        return self.run_at_once([(folder, args)], keys, killed)[0]

    def run_at_once(
        self,
        commands: list[tuple[Path, tuple[str, ...]]],
        keys: dict[str, str] = KEY,
        killed: tuple[str, int] | None = None,
    ) -> list[Result]:
        """Runs commands at the same time."""
        environment = {**WITHOUT, **keys}
        jobs = [
            {"folder": str(folder), "args": args, "environment": environment, "killed": killed}
            for folder, args in commands
        ]
        assert self.forks.stdin and self.forks.stdout
        self.forks.stdin.write(f"{json.dumps(jobs)}\n")
        self.forks.stdin.flush()
        return [Result(*each) for each in json.loads(self.forks.stdout.readline())]


@pytest.fixture
def people(tmp_path: Path, forks: subprocess.Popen[str]) -> Callable[..., People]:
    def make(server: str, bucket: str = "bucket") -> People:
        name = sha256(str(tmp_path).encode()).hexdigest()[:8]
        return People(tmp_path, forks, f"s3://{bucket}/{name}", server, name)

    return make


def record(checkout: Path, name: str, text: str) -> bytes:
    path = checkout / "cassettes" / name
    write_cassette(path, Cassette(interactions=(chat(user(text)),)))
    return path.read_bytes()


def take_lock(mine: Path, theirs: Path) -> None:
    shutil.copy(theirs / "cassettes/stepreplay.lock", mine / "cassettes/stepreplay.lock")


def cassettes_of(checkout: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (checkout / "cassettes").glob("*.yaml")}


def test_what_is_pushed_to_s3_is_pulled_and_many_push_at_once(
    people: Callable[..., People], nanio: Server
) -> None:
    team = people(nanio.url)
    ann, bob = team.checkout("ann"), team.checkout("bob")
    contents = {f"{n}.yaml": record(ann, f"{n}.yaml", f"Say {n}.") for n in range(5)}
    killed = team.run(ann, "push", killed=("s3fs.S3FileSystem._call_s3", 9))
    assert killed.status == -9 and not (ann / "cassettes/stepreplay.lock").exists()
    pushed = team.run_at_once([(ann, ("push", f"{n}.yaml")) for n in range(5)])
    assert [each.status for each in pushed] == [0] * 5, pushed
    assert team.run(ann, "push").out == f"nothing to push: all that is here is in {team.store}\n"
    take_lock(bob, ann)
    assert team.run(bob, "pull", killed=("s3fs.S3FileSystem._call_s3", 4)).status == -9
    assert cassettes_of(bob).items() <= contents.items()
    pulled = team.run(bob, "pull")
    assert pulled.status == 0, pulled
    assert cassettes_of(bob) == contents
    assert team.run(bob, "status", "--check", "--store").status == 0


def test_who_may_not_read_or_write_is_told_so_without_a_key(
    people: Callable[..., People], nanio: Server
) -> None:
    team = people(nanio.url)
    ann = team.checkout("ann")
    record(ann, "a.yaml", "Say a.")
    wrong = {**KEY, "AWS_SECRET_ACCESS_KEY": "wrong-b7Kq2xP9wLm4TzR8vN"}
    pushed = team.run(ann, "push", keys=wrong)
    assert pushed.status == 2 and pushed.err.startswith(f"stepreplay: {team.store} cannot be ")
    assert "PermissionError" in pushed.err and "credentials that may do that" in pushed.err
    assert not (ann / "cassettes/stepreplay.lock").exists()
    assert team.run(ann, "push").status == 0
    (ann / "cassettes/a.yaml").unlink()
    for command in (("pull",), ("status", "--store")):
        refused = team.run(ann, *command, keys=wrong)
        assert refused.status == 2 and "credentials that may do that" in refused.err
        assert not any(key in refused.err for key in (*wrong.values(), *KEY.values()))
    without = team.run(ann, "pull", keys={})
    assert without.status == 2 and "NoCredentialsError: Unable to locate credentials" in without.err


def test_a_policy_that_lets_nobody_write_lets_tests_be_pulled(
    people: Callable[..., People], moto: Server
) -> None:
    team = people(moto.url)
    ann, bob = team.checkout("ann"), team.checkout("bob")
    record(ann, "a.yaml", "Say a.")
    assert team.run(ann, "push").status == 0
    statement = {"Effect": "Deny", "Principal": "*", "Action": "s3:PutObject"}
    policy = {
        "Version": "2012-10-17",
        "Statement": [{**statement, "Resource": f"arn:aws:s3:::bucket/{team.name}/*"}],
    }
    put(f"{moto.url}/bucket?policy", json.dumps(policy))
    take_lock(bob, ann)
    assert team.run(bob, "pull").status == 0
    record(bob, "b.yaml", "Say b.")
    pushed = team.run(bob, "push")
    assert pushed.status == 2
    assert f"{team.store} cannot be written: PermissionError: Forbidden\n" in pushed.err
    assert "b.yaml" not in lock_file.read_lock(bob / "cassettes")


def test_a_bucket_or_a_server_that_is_not_there_is_told(people: Callable[..., People], nanio: Server) -> None:
    team = people(nanio.url, bucket="nobody-s")
    ann = team.checkout("ann")
    record(ann, "a.yaml", "Say a.")
    pushed = team.run(ann, "push")
    assert pushed.status == 2
    assert (
        "The specified bucket does not exist\nCheck stepreplay_store and stepreplay_store_options\n"
        in pushed.err
    )
    away = People(ann.parent, team.forks, team.store, "http://127.0.0.1:9", team.name)
    bob = away.checkout("bob")
    (bob / "cassettes/stepreplay.lock").write_bytes(lock_file.render_lock({"a.yaml": "1" * 64}))
    pulled = away.run(bob, "pull")
    assert (
        pulled.status == 2
        and "Check the network, stepreplay_store and stepreplay_store_options" in pulled.err
    )
    assert away.run(bob, "status").status == 0, "which needs no network"


def test_what_an_s3_server_gives_back_wrong_is_refused(people: Callable[..., People], nanio: Server) -> None:
    team = people(nanio.url)
    ann, bob = team.checkout("ann"), team.checkout("bob")
    digest = sha256(record(ann, "a.yaml", "Say a.")).hexdigest()
    team.run(ann, "push")
    assert nanio.folder
    stored = nanio.folder / "bucket" / team.name / "sha256" / digest[:2] / digest
    stored.write_bytes(stored.read_bytes().replace(b"Say a.", b"Say b."))
    take_lock(bob, ann)
    pulled = team.run(bob, "pull")
    assert pulled.status == 1 and "is refused: the store holds other bytes under its digest" in pulled.err
    assert not cassettes_of(bob)
