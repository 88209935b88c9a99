"""Each endpoint, asked by its own client: recorded, replayed offline, verified without noise, rewritten unchanged."""

from __future__ import annotations

import math
from hashlib import sha256
from pathlib import Path

import pytest

from pytest_stepreplay.cli import main
from tests.conftest import KEY
from tests.dialects import Dialects, events, reply

from .suite import Suite


@pytest.fixture
def model(suite: Suite) -> Dialects:
    """What answers; change it, and the API has changed."""
    suite.say = Dialects()
    return suite.say


def verify(suite: Suite, *options: str) -> pytest.RunResult:
    return suite.run("--stepreplay=verify", *options, key=KEY)


def check_rounds(suite: Suite, passed: int, *options: str) -> None:
    """Records the suite, verifies and rewrites it while only volatile values are new, and replays it offline."""
    suite.record().assert_outcomes(passed=passed)
    files = {name: suite.cassette(name).read_bytes() for name in suite.cassettes}
    verified = verify(suite, "--stepreplay-fail-on=metadata", *options)
    verified.assert_outcomes(passed=passed)
    verified.stdout.fnmatch_lines(["verified * unchanged, 0 drifted"])
    suite.run("--stepreplay=rewrite", *options, key=KEY).assert_outcomes(passed=passed)
    assert {name: suite.cassette(name).read_bytes() for name in suite.cassettes} == files
    sent = suite.upstream.count
    suite.run().assert_outcomes(passed=passed)
    assert suite.upstream.count == sent


EMBEDDINGS = """
    import pytest
    from openai import OpenAI

    client = OpenAI(base_url="{url}")
    pytestmark = pytest.mark.stepreplay

    def ask(**options):
        return client.embeddings.create(model="embed-1", input=["red", "green"], **options)

    def test_floats(chat_snapshot):
        found = ask(encoding_format="float")
        assert len(found.data[0].embedding) == 256
        assert found == chat_snapshot

    def test_base64():
        assert len(ask().data[1].embedding) == 256
"""


def test_embeddings(suite: Suite, model: Dialects, capsys: pytest.CaptureFixture[str]) -> None:
    suite.write(EMBEDDINGS)
    check_rounds(suite, 2)
    text = suite.cassette("test_chat/test_floats.yaml").read_text()
    assert len(text.splitlines()) < 50, "a vector stands on one line"

    capsys.readouterr()
    assert main(["show", "test_floats"]) == main(["show", "test_base64"]) == main(["list"]) == 0
    shown = capsys.readouterr().out
    assert shown.count("input       red\ninput       green\nvector 0    256 dimensions, norm 1.000") == 2
    assert shown.count("2 embeddings, 7 + ? tokens") == 2
    assert max(map(len, shown.splitlines())) < 100

    model.seed = 1
    result = verify(suite, "--stepreplay-fail-on=content")
    result.assert_outcomes(failed=2)
    result.stdout.fnmatch_lines(
        [
            "*data?0?.embedding: 256 dimensions, norm 1.000? -> 256 dimensions, norm 1.000?; cosine *, less than 0.999*"
        ]
    )
    assert max(map(len, result.outlines)) < 300, "numbers of a vector are not told"
    capsys.readouterr()
    assert main(["pending"]) == 1
    assert max(map(len, capsys.readouterr().out.splitlines())) < 300
    markdown = suite.pytester.path / "drift.md"
    verify(suite, f"--stepreplay-report={markdown}")
    assert max(map(len, markdown.read_text().splitlines())) < 400
    loose = "stepreplay_tolerances=data[*].embedding: cosine>=-1"
    verify(suite, "--stepreplay-fail-on=content", "-o", loose).assert_outcomes(passed=2)


TEXTS = """
    import pytest
    from openai import OpenAI

    client = OpenAI(base_url="{url}")
    pytestmark = pytest.mark.stepreplay

    def test_text(chat_snapshot):
        answer = client.completions.create(model="old-1", prompt="How is Paris?")
        assert answer == chat_snapshot

    def test_streamed_text():
        pieces = client.completions.create(model="old-1", prompt="How is Paris?", stream=True)
        assert "sunny" in "".join(each.choices[0].text for each in pieces if each.choices)

    def test_moderation(chat_snapshot):
        assert client.moderations.create(input="Hello.") == chat_snapshot

    def test_models():
        assert "step-3.5-flash" in {{each.id for each in client.models.list()}}
"""


def test_texts_moderations_and_models(
    suite: Suite, model: Dialects, capsys: pytest.CaptureFixture[str]
) -> None:
    suite.write(TEXTS)
    check_rounds(suite, 4)
    for name, told in {
        "test_text": "prompt      How is Paris?\ntext        It is sunny in Paris today.\nends        stop, 3 + 6 tokens",
        "test_streamed_text": "text        It is sunny in Paris today.\nends        stop, 3 + 6 tokens",
        "test_moderation": "result      not flagged\nends        0 of 1 flagged",
        "test_models": "model       step-3.5-flash",
    }.items():
        capsys.readouterr()
        assert main(["show", name]) == 0
        assert told in capsys.readouterr().out
    assert main(["lint"]) == 0
    model.text, model.model = "Attack at dawn.", "step-4"
    result = verify(suite, "--stepreplay-fail-on=content")
    assert result.parseoutcomes()["failed"] == 4
    result.stdout.fnmatch_lines_random(
        [
            "choices?0?.text: *",
            "*results?0?.flagged: false -> true*",
            "*data?*?.id: *step-4*",
        ]
    )


AZURE = """
    import pytest
    from openai import AzureOpenAI

    endpoint = "{url}".removesuffix("/v1")
    client = AzureOpenAI(azure_endpoint=endpoint, api_version="2024-10-21", api_key="none")
    TOOLS = [{{"type": "function", "function": {{"name": "get_weather", "parameters": {{"type": "object"}}}}}}]
    pytestmark = pytest.mark.stepreplay

    def test_tools(chat_snapshot):
        messages = [{{"role": "user", "content": "How is Paris?"}}]
        for _ in range(2):
            answer = client.chat.completions.create(model="my-gpt", messages=messages, tools=TOOLS)
            message = answer.choices[0].message
            messages.append(message.model_dump(exclude_none=True))
            for call in message.tool_calls or ():
                messages.append({{"role": "tool", "tool_call_id": call.id, "content": "sunny"}})
        assert answer == chat_snapshot

    def test_stream():
        messages = [{{"role": "user", "content": "How is Paris?"}}]
        pieces = client.chat.completions.create(model="my-gpt", messages=messages, stream=True)
        text = "".join(each.choices[0].delta.content or "" for each in pieces if each.choices)
        assert text == "It is sunny in Paris today."
"""


def test_azure(suite: Suite, model: Dialects, capsys: pytest.CaptureFixture[str]) -> None:
    suite.write(AZURE)
    check_rounds(suite, 2)
    text = suite.cassette("test_chat/test_tools.yaml").read_text()
    assert "/openai/deployments/my-gpt/chat/completions?api-version=2024-10-21" in text
    capsys.readouterr()
    assert main(["show", "test_tools"]) == main(["lint"]) == 0
    shown = capsys.readouterr().out
    assert 'call        get_weather({"city": "Paris"})' in shown
    assert "tool        get_weather: sunny" in shown
    assert "ends        stop, 9 + 7 tokens" in shown
    model.filtered = True
    result = verify(suite)
    result.assert_outcomes(failed=2)
    result.stdout.fnmatch_lines_random(
        [
            "*choices?0?.finish_reason: stop -> content_filter*",
            "*content_filter_results.hate.filtered: false -> true*",
        ]
    )
    model.filtered, model.tool = False, "get_forecast"
    result = verify(suite)
    result.assert_outcomes(failed=1, passed=1)
    result.stdout.fnmatch_lines(["*tool_calls?0?.function.name: get_weather -> get_forecast*", "*behavior*"])


GEMINI = """
    import httpx, json, pytest

    HOST = "{url}".removesuffix("/v1")
    MODEL = HOST + "/v1beta/models/gemini-2.5-flash"
    TOOLS = [{{"functionDeclarations": [{{"name": "get_weather"}}]}}]
    pytestmark = pytest.mark.stepreplay

    def ask(verb, body):
        return httpx.post(f"{{MODEL}}:{{verb}}", json=body, headers={{"x-goog-api-key": "none"}}, verify=False)

    def converse(generate):
        contents = [{{"role": "user", "parts": [{{"text": "How are Paris and Lyon?"}}]}}]
        for _ in range(2):
            parts = generate({{"contents": contents, "tools": TOOLS}})
            results = []
            for call in [part["functionCall"] for part in parts if "functionCall" in part]:
                told = {{"name": call["name"], "response": {{"output": "sunny in " + call["args"]["city"]}}}}
                results.append({{"functionResponse": told | ({{"id": call["id"]}} if "id" in call else {{}})}})
            for part in parts:  # as Google's SDK spells it
                if "thoughtSignature" in part:
                    part["thoughtSignature"] = part["thoughtSignature"].replace("+", "-").replace("/", "_")
            contents += [{{"role": "model", "parts": parts}}, {{"role": "user", "parts": results}}]
        return "".join(part["text"] for part in parts if not part.get("thought"))

    def test_tools(chat_snapshot):
        def generate(body):
            whole = ask("generateContent", body).json()
            if len(body["contents"]) == 1:
                assert whole == chat_snapshot
            return whole["candidates"][0]["content"]["parts"]

        assert "sunny in Paris, sunny in Lyon" in converse(generate)

    def test_events():
        def generate(body):
            lines = ask("streamGenerateContent?alt=sse", body).text.splitlines()
            chunks = [json.loads(line.removeprefix("data: ")) for line in lines if line]
            parts = [part for chunk in chunks for part in chunk["candidates"][0]["content"]["parts"]]
            text = "".join(part.get("text", "") for part in parts if not part.get("thought"))
            return [*([{{"text": text}}] if text else []), *(part for part in parts if "functionCall" in part)]

        assert "sunny in Paris, sunny in Lyon" in converse(generate)

    def test_array():
        body = {{"contents": [{{"parts": [{{"text": "How is Paris?"}}]}}]}}
        with httpx.stream("POST", MODEL + ":streamGenerateContent", json=body, verify=False) as response:
            pieces = [*response.iter_raw()]
        chunks = json.loads(b"".join(pieces))
        assert chunks[-1]["candidates"][0]["finishReason"]
        assert [json.loads(piece.strip(b"[], \\r\\n")) for piece in pieces[:-1]] == chunks

    def test_embedding():
        body = {{"content": {{"parts": [{{"text": "red"}}]}}}}
        assert len(ask("embedContent", body).json()["embedding"]["values"]) == 256
"""


@pytest.mark.parametrize("named", [True, False], ids=["with ids", "without"])
def test_gemini(suite: Suite, model: Dialects, capsys: pytest.CaptureFixture[str], named: bool) -> None:
    model.named = named
    suite.write(GEMINI)
    check_rounds(suite, 4)
    if not named:
        return
    capsys.readouterr()
    assert main(["show", "test_events"]) == main(["lint"]) == main(["list", "--stats"]) == 0
    shown = capsys.readouterr().out
    for told in (
        "user        How are Paris and Lyon?",
        "reasoning   They want the weather.",
        'call        get_weather({"city": "Paris"})',
        "tool        get_weather: {'output': 'sunny in Paris'}",
        "ends        STOP, 8 + 8 tokens",
        "gemini-2.5-flash",
    ):
        assert told in shown
    model.tool = "get_forecast"
    result = verify(suite)
    result.assert_outcomes(failed=2, passed=2)
    result.stdout.fnmatch_lines(["*functionCall.name: get_weather -> get_forecast*", "*behavior*"])
    model.tool, model.stop = "get_weather", "MAX_TOKENS"
    verify(suite).assert_outcomes(failed=3, passed=1)


ORDERS = """
    import httpx, pytest

    @pytest.mark.stepreplay
    def test_order(chat_snapshot):
        order = httpx.post("{url}/orders", json={{"sku": "lamp"}}, verify=False).json()
        assert order == chat_snapshot
"""


def test_ids_and_times_of_an_api_that_nobody_knows(suite: Suite, model: Dialects) -> None:
    rules = ("-o", "stepreplay_volatile=ids times")
    suite.write(ORDERS)
    check_rounds(suite, 1, *rules)
    model.text = "Sold out."
    verify(suite, "--stepreplay-fail-on=content", *rules).stdout.fnmatch_lines(["note: *", "*1 content*"])
    verify(suite, "--stepreplay-fail-on=content").stdout.fnmatch_lines(["*5 content*"])


FILES = """
    import pytest
    from openai import OpenAI

    client = OpenAI(base_url="{url}")
    pytestmark = pytest.mark.stepreplay

    def test_speech():
        sound = client.audio.speech.create(model="tts-1", voice="alloy", input="Hello.")
        assert len(sound.content) == 1004 and sound.content.startswith(b"ID3")

    def test_transcription():
        said = client.audio.transcriptions.create(model="asr-1", file=("hi.mp3", b"ID3\\xff" * 9, "audio/mpeg"))
        assert said.text == "It is sunny in Paris today."

    def test_image_edit(chat_snapshot):
        image = ("cat.png", b"\\x89PNG", "image/png")
        drawn = client.images.edit(model="image-1", prompt="A hat.", image=[image, image])
        assert drawn.data[0].b64_json
        assert drawn == chat_snapshot

    def test_image(chat_snapshot):
        drawn = client.images.generate(model="image-1", prompt="A hat.")
        assert drawn == chat_snapshot
        last = list(client.images.generate(model="image-1", prompt="A hat.", stream=True, partial_images=1))[-1]
        assert last.type == "image_generation.completed" and last.b64_json

    def test_batch():
        kept = client.files.create(file=("asks.jsonl", b"{{}}"), purpose="batch")
        batch = client.batches.create(
            input_file_id=kept.id, endpoint="/v1/chat/completions", completion_window="24h"
        )
        batch = client.batches.retrieve(batch.id)
        assert (batch.input_file_id, batch.status) == (kept.id, "completed")
        assert "get_weather" in client.files.content(batch.output_file_id).text

    def test_vector_store():
        kept = client.files.create(file=("notes.txt", b"The sun."), purpose="assistants")
        store = client.vector_stores.create(file_ids=[kept.id], name="notes")
        assert client.vector_stores.files.create(store.id, file_id=kept.id).id == kept.id
        search = {{"type": "file_search", "vector_store_ids": [store.id]}}
        assert client.responses.create(model="m", input="Sun?", tools=[search]).output_text

    def test_files():
        kept = client.files.create(file=("notes.bin", b"\\xff\\x00notes"), purpose="user_data")
        assert len(client.files.content(kept.id).content) == 1001
"""


def test_uploads_and_bytes(suite: Suite, model: Dialects, capsys: pytest.CaptureFixture[str]) -> None:
    suite.write(FILES)
    suite.record().assert_outcomes(passed=7)
    text = suite.cassette("test_chat/test_transcription.yaml").read_text()
    assert 'filename="hi.mp3"' in text
    assert "text: asr-1" in text
    files = {name: suite.cassette(name).read_bytes() for name in suite.cassettes}
    verified = verify(suite, "--stepreplay-fail-on=metadata")
    verified.assert_outcomes(passed=7)
    verified.stdout.fnmatch_lines(["verified 15 interactions in 7 cassettes: 15 unchanged, 0 drifted"])
    suite.run("--stepreplay=rewrite", key=KEY).assert_outcomes(passed=7)
    assert {name: suite.cassette(name).read_bytes() for name in files} == files
    model.tool = "get_forecast"
    result = verify(suite)
    result.assert_outcomes(passed=6, failed=1)
    result.stdout.fnmatch_lines(
        ["results_by_custom_id.first.*.function.name: get_weather -> get_forecast", "*drift     behavior: *"]
    )
    suite.go_offline()
    suite.run().assert_outcomes(passed=7)


LARGE = """
    import pytest
    from openai import OpenAI

    client = OpenAI(base_url="{url}", max_retries=0)
    pytestmark = pytest.mark.stepreplay

    def test_upload():
        sound = b"\\xffID3" * 20_000
        said = client.audio.transcriptions.create(model="asr-1", file=("hi.mp3", sound, "audio/mpeg"))
        assert said.text

    def test_content():
        assert len(client.files.content("file-1").content) == 100_001
"""


def beside(suite: Suite) -> dict[str, Path]:
    """Returns the files beside the cassettes by their suffix."""
    found = [suite.cassette(name) for name in suite.cassettes if not name.endswith(".yaml")]
    assert all(sha256(path.read_bytes()).hexdigest() == path.stem for path in found)
    return {path.suffix: path for path in found}


def test_large_bytes_stand_beside_the_cassette(
    suite: Suite, model: Dialects, capsys: pytest.CaptureFixture[str]
) -> None:
    model.size = 100_000
    suite.write(LARGE)
    check_rounds(suite, 2)
    files = beside(suite)
    assert set(files) == {".mp3", ".bin"}
    assert (
        max(suite.cassette(name).stat().st_size for name in suite.cassettes if name.endswith(".yaml")) < 900
    )

    assert main(["show", "test_upload"]) == main(["show", "test_content"]) == 0
    shown = capsys.readouterr().out
    assert "file: hi.mp3, audio/mpeg, 80.0 kB, in " in shown.replace("\n", "")
    assert "application/octet-stream, 100.0 kB, in " in shown
    assert main(["lint"]) == 0

    model.seed = 1
    result = verify(suite, "--stepreplay-fail-on=content")
    result.assert_outcomes(failed=1, passed=1)
    result.stdout.fnmatch_lines(["sha256: * -> *"])
    assert len([name for name in suite.cassettes if name.endswith(".bin")]) == 2, "the new one waits"
    capsys.readouterr()
    assert main(["pending"]) == 1
    assert "sha256: ba799984cb17d8f7 -> " in capsys.readouterr().out
    assert main(["accept", "--all"]) == 0
    suite.run("-p", "cacheprovider").assert_outcomes(passed=2)
    capsys.readouterr()
    assert main(["prune", "--yes"]) == 0
    assert "no cassette cites it" in capsys.readouterr().out
    assert len([name for name in suite.cassettes if name.endswith(".bin")]) == 1
    suite.go_offline()
    suite.run().assert_outcomes(passed=2)

    files = beside(suite)
    files[".mp3"].unlink()  # a request is known by its digest
    files[".bin"].write_bytes(b"other")
    result = suite.run()
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(
        [f"*{files['.bin'].name}: was changed: its name is the SHA-256 of other bytes*"]
    )
    capsys.readouterr()
    assert main(["lint"]) == 1
    told = capsys.readouterr().out
    assert f"{files['.bin'].name}, beside the cassette, was changed" in told
    assert f"{files['.mp3'].name}, beside the cassette, is missing" in told
    files[".bin"].unlink()
    suite.run().stdout.fnmatch_lines(
        [f"*{files['.bin'].name}: is missing; cassettes/test_chat/test_content.yaml cites it"]
    )


def test_a_lost_file_is_recorded_again_by_a_rewrite_and_a_secret_in_one_is_refused(
    suite: Suite, model: Dialects
) -> None:
    model.size = 100_000
    suite.write(LARGE)
    suite.record()
    before = beside(suite)
    for path in before.values():
        path.unlink()
    suite.run("--stepreplay=rewrite", key=KEY).assert_outcomes(passed=2)
    assert beside(suite) == before

    suite.change('b"\\xffID3" * 20_000', f'b"\\xffID3" * 20_000 + b"{KEY}"')
    result = suite.run("--stepreplay=rewrite", key=KEY)
    result.stdout.fnmatch_lines(["*was not written, since it would hold what looks like a secret:*"])
    assert KEY not in str(result.stdout)
    assert beside(suite) == before


def test_numbers_that_are_not_finite_and_bodies_of_other_endpoints(suite: Suite, model: Dialects) -> None:
    suite.write(EMBEDDINGS)
    suite.record("-k", "floats").assert_outcomes(passed=1, deselected=1)
    vector = [math.nan, *model.vector("red", 255)]
    body = {
        "object": "list",
        "data": [{"object": "embedding", "index": 0, "embedding": vector}],
        "model": "embed-1",
    }
    suite.say = lambda _: reply(body | {"usage": {"prompt_tokens": 7, "total_tokens": 7}})
    result = verify(suite, "-k", "floats")
    result.assert_outcomes(failed=1, deselected=1)
    result.stdout.fnmatch_lines(
        ["*data?0?.embedding: expected finite numbers, or their base64, got NaN*", "*drift     contract: *"]
    )
    chat = {
        "object": "chat.completion",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hi"}}],
    }
    suite.say = lambda _: reply(chat)
    verify(suite, "-k", "floats").stdout.fnmatch_lines(
        ["*a chat completion instead of a list of embeddings*"]
    )
    suite.say = lambda _: events([{"type": "image_generation.completed"}, {"type": "nobody.knows"}])
    verify(suite, "-k", "floats").stdout.fnmatch_lines(["* instead of a list of embeddings*"])
