"""Every client library, sync and async, plain and streamed: recorded from a server, replayed with it gone."""

from __future__ import annotations

import pytest

from tests.conftest import KEY

from .suite import Suite

HEADERS = '{{"Authorization": "Bearer " + os.environ["STEP_API_KEY"]}}'

CLIENTS = {
    "openai": """
        def ask(body):
            with openai.OpenAI(base_url=URL) as client:
                reply = client.chat.completions.create(**body)
                if body.get("stream"):
                    return "".join(c.choices[0].delta.content or "" for c in reply if c.choices)
                return reply.choices[0].message.content
        """,
    "openai-async": """
        def ask(body):
            async def run():
                async with openai.AsyncOpenAI(base_url=URL) as client:
                    reply = await client.chat.completions.create(**body)
                    if body.get("stream"):
                        return "".join([c.choices[0].delta.content or "" async for c in reply if c.choices])
                    return reply.choices[0].message.content
            return asyncio.run(run())
        """,
    "httpx": """
        def ask(body):
            with httpx.Client() as client:
                reply = client.post(CHAT, json=body, headers=HEADERS).raise_for_status()
            return text_of(reply.text)
        """,
    "httpx-async": """
        def ask(body):
            async def run():
                async with httpx.AsyncClient() as client:
                    async with client.stream("POST", CHAT, json=body, headers=HEADERS) as reply:
                        return "".join([line + "\\n" async for line in reply.aiter_lines()])
            return text_of(asyncio.run(run()))
        """,
    "httpx2": """
        def ask(body):
            with httpx2.Client() as client:
                reply = client.post(CHAT, json=body, headers=HEADERS).raise_for_status()
            return text_of(reply.text)
        """,
    "httpx2-async": """
        def ask(body):
            async def run():
                async with httpx2.AsyncClient() as client:
                    return (await client.post(CHAT, json=body, headers=HEADERS)).raise_for_status().text
            return text_of(asyncio.run(run()))
        """,
    "aiohttp": """
        def ask(body):
            async def run():
                async with aiohttp.ClientSession(raise_for_status=True) as session:
                    async with session.post(CHAT, json=body, headers=HEADERS) as reply:
                        return await reply.text()
            return text_of(asyncio.run(run()))
        """,
    "aiohttp-stream": """
        def ask(body):
            async def run():
                async with aiohttp.ClientSession(URL + "/") as session:
                    async with session.post("chat/completions", json=body, headers=HEADERS) as reply:
                        return b"".join([line async for line in reply.content]).decode()
            return text_of(asyncio.run(run()))
        """,
    "requests": """
        def ask(body):
            with requests.Session() as session:
                reply = session.post(CHAT, json=body, headers=HEADERS)
                reply.raise_for_status()
            return text_of(reply.text)
        """,
    "requests-stream": """
        def ask(body):
            with requests.post(CHAT, json=body, headers=HEADERS, stream=True) as reply:
                return text_of("\\n".join(reply.iter_lines(decode_unicode=True)))
        """,
    "urllib3": """
        def ask(body):
            with urllib3.PoolManager() as pool:
                return text_of(pool.request("POST", CHAT, json=body, headers=HEADERS).data.decode())
        """,
    "urllib3-stream": """
        def ask(body):
            with urllib3.PoolManager(maxsize=1, block=True) as pool:
                for _ in range(2):
                    reply = pool.request("POST", CHAT, json=body, headers=HEADERS, preload_content=False)
                    text = b"".join(reply.stream()).decode()
                return text_of(text)
        """,
}

MODULE = """
    import asyncio, json, os
    import aiohttp, httpx, httpx2, openai, pytest, requests, urllib3

    URL = "{url}"
    CHAT = URL + "/chat/completions"
    HEADERS = {{"Authorization": "Bearer " + os.environ["STEP_API_KEY"]}}

    def text_of(text):
        if text.startswith("{{"):
            return json.loads(text)["choices"][0]["message"]["content"]
        frames = [line[6:] for line in text.splitlines() if line.startswith("data: {{")]
        return "".join(json.loads(frame)["choices"][0]["delta"].get("content") or "" for frame in frames)
{ask}
    @pytest.mark.stepreplay
    @pytest.mark.parametrize("stream", [False, True])
    def test_it(stream):
        body = {{"model": "step-3.5-flash", "messages": [{{"role": "user", "content": "你好, say hello."}}]}}
        if stream:
            body["stream"] = True
        print("answer:", ask(body))
"""


@pytest.mark.parametrize("client", CLIENTS)
def test_recorded_and_replayed(suite: Suite, client: str) -> None:
    ask = (
        "\n".join("    " + line[8:] for line in CLIENTS[client].splitlines())
        .replace("{", "{{")
        .replace("}", "}}")
    )
    suite.write(MODULE.replace("{ask}", ask))
    recorded = suite.record("-s", "-W", "error")
    recorded.assert_outcomes(passed=2)
    sent = suite.upstream.count
    suite.go_offline()
    replayed = suite.run("-s", "-W", "error")
    replayed.assert_outcomes(passed=2)
    answers = [line for line in recorded.outlines if "answer:" in line]
    assert answers == [line for line in replayed.outlines if "answer:" in line]
    assert len(answers) == 2
    assert suite.upstream.count == sent
    for name in suite.cassettes:
        text = suite.cassette(name).read_text(encoding="utf-8")
        assert KEY not in text
        assert "你好, say hello." in text


@pytest.mark.parametrize("client", CLIENTS)
def test_a_changed_prompt_is_a_miss(suite: Suite, client: str) -> None:
    ask = (
        "\n".join("    " + line[8:] for line in CLIENTS[client].splitlines())
        .replace("{", "{{")
        .replace("}", "}}")
    )
    suite.write(MODULE.replace("{ask}", ask))
    suite.record()
    suite.change("say hello.", "say goodbye.")
    sent = suite.upstream.count
    result = suite.run()
    result.assert_outcomes(failed=2)
    result.stdout.fnmatch_lines(["E *messages?0?.content: 你好, say ?-hello-??+goodbye+?."])
    assert suite.upstream.count == sent


def test_what_one_client_recorded_another_replays(suite: Suite) -> None:
    names = list(CLIENTS)
    module = MODULE.replace(
        'parametrize("stream", [False, True])', 'parametrize("stream", [False, True], ids=["one", "sse"])'
    )
    module = module.replace("mark.stepreplay", "mark.stepreplay(allow_repeats=True)")
    for name in names:
        ask = (
            "\n".join("    " + line[8:] for line in CLIENTS[name].splitlines())
            .replace("{", "{{")
            .replace("}", "}}")
        )
        suite.write(module.replace("{ask}", ask))
        if name == names[0]:
            suite.record().assert_outcomes(passed=2)
            suite.go_offline()
        suite.run().assert_outcomes(passed=2)
