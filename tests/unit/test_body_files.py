"""What is too large for a cassette: written beside it, by its digest, before the cassette that cites it."""

from __future__ import annotations

import pickle
import tracemalloc
from base64 import b64encode
from hashlib import sha256
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_stepreplay.errors import CassetteReadError, CassetteWriteError
from pytest_stepreplay.housekeeping.pruning import iter_uncited
from pytest_stepreplay.machine import disk
from pytest_stepreplay.matching.keys import Matcher
from pytest_stepreplay.models import (
    LARGE,
    LARGE_TEXT,
    BodyFile,
    BodyPart,
    Cassette,
    FieldError,
    Interaction,
    Request,
    Response,
)
from pytest_stepreplay.redaction.redactor import Redactor
from pytest_stepreplay.redaction.shapes import PLACEHOLDER
from pytest_stepreplay.store import body_files, cassettes, pending
from pytest_stepreplay.wire.bodies import body_bytes, request_from_wire, response_from_wire
from pytest_stepreplay.wire.multipart import BOUNDARY

URL = "https://api.stepfun.com/v1/audio/transcriptions"
SOUND = b"\xffID3" * LARGE
NAME = f"{sha256(SOUND).hexdigest()}.mp3"


def form(data: bytes, boundary: str = "b1", model: bytes = b"asr-1") -> bytes:
    return (
        b'--B\r\nContent-Disposition: form-data; name="model"\r\n\r\n' + model + b"\r\n"
        b'--B\r\nContent-Disposition: form-data; name="file"; filename="a.mp3"\r\nContent-Type: audio/mpeg\r\n\r\n'
        + data
        + b"\r\n--B--\r\n"
    ).replace(b"--B", b"--" + boundary.encode())


def upload(data: bytes, boundary: str = "b1", **more: Any) -> Request:
    return request_from_wire(
        "POST", URL, form(data, boundary, **more), f"multipart/form-data; boundary={boundary}"
    )


def spoken(data: bytes) -> Response:
    return response_from_wire(200, {"content-type": "audio/mpeg"}, data)


def cassette(*interactions: Interaction) -> Cassette:
    return Cassette(test="t.py::t", interactions=interactions)


WHOLE = cassette(Interaction(request=upload(SOUND), response=spoken(SOUND)))


def test_a_large_body_is_known_by_its_digest_and_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "t.yaml"
    cassettes.write_cassette(path, WHOLE)
    assert sorted(each.name for each in tmp_path.iterdir()) == sorted([NAME, "t.yaml"])
    assert (tmp_path / NAME).read_bytes() == SOUND
    assert path.stat().st_size < 1000
    read = cassettes.read_cassette(path).cassette
    assert read == WHOLE
    (interaction,) = read.interactions
    assert body_bytes(interaction.response) == SOUND
    assert body_bytes(interaction.request) == form(SOUND, BOUNDARY)
    assert pickle.loads(pickle.dumps(WHOLE)).interactions[0].response.file.read() == SOUND


def test_a_multipart_body_matches_by_its_parts_wherever_they_stand() -> None:
    def key(request: Request) -> str:
        return Matcher().key(request)

    stored = Request(method="POST", url=URL, base64=b64encode(form(SOUND, "old")).decode())
    assert key(upload(SOUND)) == key(upload(SOUND, "b2")) == key(stored)
    assert key(upload(SOUND)) != key(upload(SOUND[1:]))
    assert key(upload(SOUND)) != key(upload(SOUND, model=b"asr-2"))
    raw = request_from_wire("PUT", URL, SOUND, "audio/mpeg")
    assert raw.file == BodyFile(NAME, len(SOUND))
    assert key(raw) == key(request_from_wire("PUT", URL, SOUND, None))


def test_a_form_of_another_tools_cassette_is_told_by_its_beginning() -> None:
    request = upload(SOUND)
    assert request_from_wire("POST", URL, body_bytes(request), None) == request


@given(st.binary(max_size=50), st.binary(max_size=50))
def test_parts_give_the_body_back(model: bytes, data: bytes) -> None:
    request = upload(data + b"\xff", model=model)
    assert body_bytes(request) == form(data + b"\xff", BOUNDARY, model=model) or b"\r\n--b1" in model + data


@pytest.mark.parametrize(
    "body",
    [
        form(b"\xff")[:-8],
        form(b"\xff").replace(b"\r\n\r\n", b"\r\n"),
        form(b"\xff").replace(b"Content-Type:", b"no header"),
        b"\xff" + form(b"\xff"),
        b"--b1\r\n\xff",
    ],
)
def test_a_broken_multipart_body_is_stored_as_it_is(body: bytes) -> None:
    request = request_from_wire("POST", URL, body, "multipart/form-data; boundary=b1")
    assert request.base64 is not None
    assert Matcher().key(request) == Matcher().key(request)
    assert body_bytes(request).replace(BOUNDARY.encode(), b"b1") == body


def test_a_field_of_a_form_is_redacted_by_its_name() -> None:
    fields = b'--b\r\nContent-Disposition: form-data; name="api_key"\r\n\r\nhunter2-hunter2\r\n--b\r\n\r\n\xff\r\n--b--\r\n'
    request = request_from_wire("POST", URL, fields, "multipart/form-data; boundary=b")
    redacted = Redactor(secrets=()).redact_request(request)
    assert redacted.parts is not None
    assert redacted.parts[0].text == PLACEHOLDER
    assert redacted.parts[1] == BodyPart(base64="/w==")


def test_a_long_text_in_a_form_stands_in_a_file_too() -> None:
    request = upload(b'{"a": 1}\n' * (LARGE_TEXT // 8))
    assert request.parts is not None and request.parts[1].file is not None
    assert request.parts[0].text == "asr-1"


@pytest.mark.parametrize("name", ["../" + NAME, "a.mp3", NAME.upper(), NAME + "/x", f"{'0' * 64}.tar.gz"])
def test_a_name_leads_nowhere_else(name: str) -> None:
    with pytest.raises(FieldError):
        BodyFile(name, 1)


def test_a_name_in_a_cassette_that_is_none_is_told_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "t.yaml"
    cassettes.write_cassette(path, WHOLE)
    path.write_text(path.read_text().replace(NAME, "../x.mp3"))
    with pytest.raises(CassetteReadError, match=r"t\.yaml:\d+: .*should be a SHA-256"):
        cassettes.read_cassette(path)


@pytest.mark.parametrize("change", [None, b"other", SOUND[1:] + b"\xff"])
def test_a_lost_or_changed_file_is_one_message_that_names_it(tmp_path: Path, change: bytes | None) -> None:
    path, beside = tmp_path / "t.yaml", tmp_path / NAME
    cassettes.write_cassette(path, WHOLE)
    beside.unlink() if change is None else beside.write_bytes(change)
    (interaction,) = cassettes.read_cassette(path).cassette.interactions
    told = f"{NAME}: {'is missing' if change is None else 'was changed'}"
    for read in (
        lambda: body_files.check_files([interaction], path),
        lambda: body_bytes(interaction.response),
        lambda: body_bytes(interaction.request),
    ):
        with pytest.raises(CassetteReadError) as raised:
            read()
        assert told in str(raised.value)
    # What others have lost is no reason not to write, and is not written over.
    cassettes.write_cassette(path, cassette(interaction, interaction))
    # Whoever has the bytes mends it.
    cassettes.write_cassette(path, WHOLE)
    assert beside.read_bytes() == SOUND


def test_a_cassette_that_goes_elsewhere_takes_its_files_with_it(tmp_path: Path) -> None:
    cassettes.write_cassette(tmp_path / "t.yaml", WHOLE)
    read = cassettes.read_cassette(tmp_path / "t.yaml").cassette
    cassettes.write_cassette(tmp_path / "further" / "u.yaml", read)
    assert (tmp_path / "further" / NAME).read_bytes() == SOUND


def test_files_that_nothing_cites_are_found(tmp_path: Path) -> None:
    cassettes.write_cassette(tmp_path / "t.yaml", WHOLE)
    other = tmp_path / f"{'0' * 64}.bin"
    other.write_bytes(b"")
    (tmp_path / "notes.txt").write_text("mine")

    def uncited(*gone: str) -> list[str]:
        found = iter_uncited(tmp_path, lambda path, held: () if path.name in gone else held.interactions)
        return [each.name for each in found]

    assert uncited() == [other.name]
    assert uncited("t.yaml") == sorted([other.name, NAME])
    drifted = cassette(Interaction(request=upload(SOUND), response=spoken(SOUND[1:])))
    pending.write_pending(tmp_path / "t.yaml", drifted)
    assert uncited() == [other.name], "what a pending version cites stays"
    (tmp_path / "broken.yaml").write_text("stepreplay: [")
    assert uncited() == [], "what cannot be read may cite anything"


def test_a_save_that_fails_leaves_the_old_cassette(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "t.yaml"
    cassettes.write_cassette(path, cassette())
    before = path.read_bytes()

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(disk, "create", full)
    with pytest.raises(CassetteWriteError, match="No space left"):
        cassettes.write_cassette(path, WHOLE)
    assert path.read_bytes() == before
    assert [each.name for each in tmp_path.iterdir()] == ["t.yaml"]


def write_some(folder: str, number: int) -> None:
    for _ in range(5):
        cassettes.write_cassette(Path(folder, f"t{number}.yaml"), WHOLE)


def test_two_processes_at_once_leave_one_whole_file(tmp_path: Path) -> None:
    context = get_context("spawn")
    workers = [context.Process(target=write_some, args=(str(tmp_path), number)) for number in range(2)]
    for each in workers:
        each.start()
    for each in workers:
        each.join()
    assert [each.exitcode for each in workers] == [0, 0]
    assert sorted(each.name for each in tmp_path.iterdir()) == sorted([NAME, "t0.yaml", "t1.yaml"])
    assert (tmp_path / NAME).read_bytes() == SOUND


def test_an_upload_is_not_copied(tmp_path: Path) -> None:
    noise = (
        bytes(range(128, 256)) * 78
    )  # what has no letters is searched quickly; tracemalloc counts each run of them
    body = form((bytes(range(256)) + noise) * 1000)
    tracemalloc.start()
    request = request_from_wire("POST", URL, body, "multipart/form-data; boundary=b1")
    Matcher().key(request)
    copied = tracemalloc.get_traced_memory()[1]
    cassettes.write_cassette(
        tmp_path / "t.yaml", cassette(Interaction(request=request, response=spoken(b"")))
    )
    written = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert copied < len(body) / 10
    assert written < len(body), "the windows that are searched for secrets"
