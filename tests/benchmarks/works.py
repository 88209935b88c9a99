"""The works that are measured: what is prepared for each tool, what is run in turn, and against what it is held.

A `Bench` goes in, series of measures come out; `WORKS` names them all.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from pytest_stepreplay.upstream import Upstream, answer

from . import serving, snapshots
from .environments import CASSETTER, FLOOR, OURS, RECORDING, REPOSITORY, Environments
from .inside.streaming import CLIENTS
from .measuring import CPU, PEAK, WALL, BenchmarkError, Series, Values, run, take_turns
from .suites import AS_INSTALLED, FLOOR_TOOL, MODULES, OUR_TOOL, TOOLS, Project, Suite, Tool, script


@dataclass(frozen=True)
class Size:
    """How much of everything.

    Attributes:
        rounds: how often each tool does each work.
        tests: of a suite; a suite of conversations has a sixth of it.
        turns: of a conversation.
        fill: characters of an answer.
        cassettes: numbers of interactions in one cassette.
        recorded: interactions of the cassette whose recording is measured.
        compared: pairs of answers.
        starts: how often a round starts pytest with each tool, and without it.
        collected: tests, in a run that only collects.
        on_disk: tests with a cassette each, for the checks at the end of the run.
        large: megabytes of one response.
        pace: seconds between two frames of a stream.
        clients: for streams.
        connections: to a server.
        rate: requests in a second, over all connections to a server.
        asked: requests to a server over so many connections.
        many: requests in which its memory is not to grow.
        grown: tests with a cassette each, turns, streams at once, and interactions in one folder: few, and many.
    """

    rounds: int = 5
    tests: int = 300
    turns: int = 20
    fill: int = 1750
    cassettes: tuple[int, ...] = (1, 100, 1_000, 10_000)
    recorded: int = 1_000
    compared: int = 1_000
    starts: int = 6
    collected: tuple[int, ...] = (1_000, 10_000)
    on_disk: tuple[int, ...] = (200, 2_000)
    large: tuple[int, ...] = (1, 10)
    pace: float = 0.01
    clients: tuple[str, ...] = tuple(CLIENTS)
    connections: tuple[int, ...] = (1, 50, 200)
    rate: int = 200
    asked: int = 2_000
    many: int = 100_000
    grown: tuple[tuple[int, int, int, int], ...] = ((1_000, 50, 100, 10_000), (10_000, 500, 1_000, 100_000))


QUICK = Size(
    2,
    60,
    10,
    1750,
    (1, 100, 1_000),
    200,
    200,
    4,
    (200, 2_000),
    (20, 200),
    (1, 4),
    0.005,
    asked=400,
    many=5_000,
    grown=((100, 10, 20, 1_000), (1_000, 100, 200, 10_000)),
)
TINY = Size(
    1,
    2,
    2,
    100,
    (1, 6),
    2,
    3,
    1,
    (12,),
    (3,),
    (1,),
    0.0,
    ("httpx",),
    (1, 3),
    1_000,
    6,
    6,
    ((2, 2, 2, 100), (4, 3, 3, 200)),
)


@dataclass(frozen=True)
class Bench:
    """What every work needs: the tools, the sizes, and an empty folder of its own."""

    environments: Environments
    size: Size
    folder: Path

    def tools(self, tools: Iterable[Tool]) -> list[Tool]:
        """Returns those that can be measured here."""
        return [tool for tool in tools if self.environments.has(tool.environment)]

    def inside(self, script: str, tool: str, *arguments: object, environment: str | None = None) -> Values:
        """Runs a script of `inside` in a tool's environment, and returns the measures that it prints."""
        python = self.environments.python(environment or tool)
        command = [python, "-m", f"tests.benchmarks.inside.{script}", *map(str, arguments)]
        cost = run(command, folder=self.folder, environment={"PYTHONPATH": str(REPOSITORY)})
        measures: dict[str, float] = json.loads(cost.output.splitlines()[-1])
        return measures


@dataclass(frozen=True)
class Work:
    """One table.

    Attributes:
        title: stands above it.
        base: the tool that the others are held against.
        measure: does the work.
    """

    title: str
    base: str
    measure: Callable[[Bench], list[Series]]


def _suite(kind: str, requests: int, bench: Bench) -> list[Series]:
    size = bench.size
    turns = kind == "conversation"
    suite = Suite(
        kind, max(1, size.tests // 6) if turns else size.tests, size.turns if turns else requests, size.fill
    )
    runs: dict[str, Callable[[], Values]] = {}
    for tool in bench.tools((*TOOLS, *AS_INSTALLED) if kind == "plain" else TOOLS):
        project = Project(bench.folder / tool.name, suite, tool, bench.environments)
        if tool.name != FLOOR:
            with Upstream(script(suite.text)) as upstream:
                project.record(upstream)
        project.replay()  # so that bytecode is there for all
        runs[tool.name] = lambda project=project: project.replay().values()  # type: ignore[misc]
    return take_turns(size.rounds, runs)


def _recording(bench: Bench) -> list[Series]:
    suite = Suite("plain", bench.size.tests, 3, bench.size.fill)
    runs: dict[str, Callable[[], Values]] = {}
    with Upstream(script(suite.text)) as upstream:
        for tool in bench.tools(TOOLS):
            project = Project(bench.folder / tool.name, suite, tool, bench.environments)
            if tool.name == FLOOR:
                project.talk_for_real()
            project.record(upstream)
            runs[tool.name] = lambda project=project: project.record(upstream).values()  # type: ignore[misc]
        return take_turns(bench.size.rounds, runs)


def _recording_one(bench: Bench) -> list[Series]:
    """Records one large cassette."""
    paths = iter(range(10**9))

    def measure(tool: Tool) -> Values:
        path = bench.folder / f"{tool.environment}-{next(paths)}.yaml"
        environment = tool.environment
        return bench.inside(
            "cassettes", environment, "record", environment, path, bench.size.recorded, upstream.url
        )

    with Upstream(script(Suite("plain", 0, 0, bench.size.fill).text)) as upstream:
        return take_turns(
            bench.size.rounds, {tool.name: partial(measure, tool) for tool in bench.tools(TOOLS)}
        )


def _one_cassette(bench: Bench) -> list[Series]:
    """Loads one cassette of each size, and replays its first and last interactions."""
    found: list[Series] = []
    tools = [tool for tool in bench.tools(TOOLS) if tool.name != FLOOR]
    with Upstream(script(Suite("plain", 0, 0, bench.size.fill).text)) as upstream:
        url = upstream.url
        for tool in tools:
            for count in bench.size.cassettes:
                # A folder for each: what lies beside a cassette is searched when a request is not in it.
                folder = bench.folder / tool.name / str(count)
                folder.mkdir(parents=True)
                for name, interactions in (("warm-up", 1), ("cassette", count)):
                    path = folder / f"{name}.yaml"
                    bench.inside(
                        "cassettes", tool.environment, "prepare", tool.environment, path, interactions, url
                    )
    for count in bench.size.cassettes:
        # The slowest tool takes minutes for the largest one, and varies little.
        rounds = bench.size.rounds if count < 10_000 else min(2, bench.size.rounds)

        def measure(tool: Tool, count: int = count) -> Values:
            path = bench.folder / tool.name / str(count) / "cassette.yaml"
            try:
                values = bench.inside(
                    "cassettes", tool.environment, "replay", tool.environment, path, count, url
                )
            except BenchmarkError as error:
                if tool.environment == OURS:
                    raise
                # cassetter 0.16.1 reads no YAML of more than 250,000 nodes.
                print(f"{tool.name} replays no cassette of {count:,} interactions: {error}", file=sys.stderr)
                return {}
            return {f"{count:,} interactions: {name}": value for name, value in values.items()}

        found += take_turns(rounds, {tool.name: partial(measure, tool) for tool in tools})
    return found


def _comparing(bench: Bench) -> list[Series]:
    def measure(tool: str) -> Values:
        return bench.inside("comparing", OURS, tool, bench.size.compared, bench.size.fill)

    return take_turns(bench.size.rounds, {tool: partial(measure, tool) for tool in (OURS, "DeepDiff")})


def _start_up(bench: Bench) -> list[Series]:
    """Runs one test that uses nothing, with each tool and with the same tool turned off."""
    (bench.folder / "test_nothing.py").write_text("def test_nothing():\n    pass\n", encoding="utf-8")
    (bench.folder / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")

    def measure(tool: str, plugin: str) -> Values:
        command = [bench.environments.python(tool), "-m", "pytest", "-q", "-p", "no:cacheprovider"]
        pairs = [
            (run([*command, "-p", f"no:{plugin}"], folder=bench.folder), run(command, folder=bench.folder))
            for _ in range(bench.size.starts)
        ]
        off, on = zip(*([cost.values() for cost in pair] for pair in pairs), strict=True)
        # The least of several runs, since one differs from the next by more than what is sought.
        least = {
            name: (min(each[name] for each in on), min(each[name] for each in off)) for name in (CPU, WALL)
        }
        above = {f"above the same with -p no:PLUGIN: {name}": on - off for name, (on, off) in least.items()}
        return {name: on for name, (on, _) in least.items()} | above

    plugins = {OURS: "stepreplay", CASSETTER: "cassetter", RECORDING: "recording"}
    runs = {
        tool: partial(measure, tool, plugin)
        for tool, plugin in plugins.items()
        if bench.environments.has(tool)
    }
    for each in runs.values():
        each()  # so that bytecode is there for all
    return take_turns(bench.size.rounds, runs)


def _collecting(bench: Bench) -> list[Series]:
    """Collects many marked tests and runs none."""
    found: list[Series] = []
    for count in bench.size.collected:
        suite = Suite("plain", count, 1, 10)
        runs: dict[str, Callable[[], Values]] = {}
        for tool in bench.tools(TOOLS):
            folder = bench.folder / f"{tool.name}-{count}"
            project = Project(folder, suite, tool, bench.environments)
            project.collect()
            runs[tool.name] = lambda project=project, count=count: {  # type: ignore[misc]
                f"{count:,} tests: {name}": value for name, value in project.collect().values().items()
            }
        found += take_turns(bench.size.rounds, runs)
    return found


def _many_tests(bench: Bench) -> list[Series]:
    """Plans, narrows and spreads very many tests that use nothing, and spreads as many with a cassette each."""
    count, folder = bench.size.collected[-1], bench.folder / "unused"
    folder.mkdir()
    (folder / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    for module in range(MODULES):
        tests = [f"def test_{number}():\n    pass\n" for number in range(module, count, MODULES)]
        (folder / f"test_{module}.py").write_text("\n\n".join(tests), encoding="utf-8")
    (folder / "test_failing.py").write_text("def test_it():\n    raise ValueError\n", encoding="utf-8")
    spread = ("-p", "xdist", "-n", "8")
    ways = {"--collect-only": ("--collect-only",), "--lf": ("-p", "cacheprovider", "--lf"), "-n 8": spread}
    variables = bench.environments.with_xdist(bench.folder / "xdist", OURS)

    def measure(tool: Tool, way: str) -> Values:
        command = [*bench.environments.pytest(tool.environment), *ways[way]]
        status = 0 if way == "--collect-only" else 1
        cost = run(command, folder=folder, environment=variables, status=status)
        return {f"{count:,} tests that use nothing, {way}: {name}": it for name, it in cost.values().items()}

    found: list[Series] = []
    tools = bench.tools((FLOOR_TOOL, OUR_TOOL))
    for way in ways:
        for tool in tools:
            measure(tool, way)  # so that bytecode is there for all, and in the cache what has failed
        found += take_turns(bench.size.rounds, {tool.name: partial(measure, tool, way) for tool in tools})
    suite = Suite("plain", count, 1, 100)
    runs: dict[str, Callable[[], Values]] = {}
    for tool in tools:
        project = Project(bench.folder / tool.name, suite, tool, bench.environments, variables)
        if tool.name == FLOOR:
            project.replay()  # for its bytecode, as above
        else:
            with Upstream(script(suite.text)) as upstream:
                project.record(upstream)
        runs[tool.name] = lambda project=project: {  # type: ignore[misc]
            f"{count:,} tests with a cassette each, -n 8: {name}": value
            for name, value in project.replay(*spread).values().items()
        }
    return [*found, *take_turns(bench.size.rounds, runs)]


_WATCH = """

import json
import sys
import time
from pathlib import Path


def _timed(name):
    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def hook():
        started = time.perf_counter()
        result = yield
        SPENT[name] = time.perf_counter() - started
        return result

    return hook


SPENT = {}
BEGAN = time.perf_counter()
pytest_sessionfinish = _timed("finish")


@pytest.hookimpl(trylast=True)
def pytest_unconfigure():
    whole = time.perf_counter() - BEGAN
    values = {"checks at the end, ms": SPENT["finish"] * 1e3, "share of the run, %": SPENT["finish"] / whole * 100}
    Path("spent.json").write_text(json.dumps(values))
"""


def _checks_at_the_end(bench: Bench) -> list[Series]:
    """Replays many tests with a cassette each, and takes the time of what happens when all have run."""
    found: list[Series] = []
    for count in bench.size.on_disk:
        suite = Suite("plain", count, 1, bench.size.fill)
        runs: dict[str, Callable[[], Values]] = {}
        for tool in bench.tools((FLOOR_TOOL, OUR_TOOL)):
            project = Project(bench.folder / f"{tool.name}-{count}", suite, tool, bench.environments)
            with Upstream(script(suite.text)) as upstream:
                project.record(upstream)
            project.watch(_WATCH)

            def measure(project: Project = project, count: int = count) -> Values:
                cost = project.replay().values()
                spent = json.loads((project.folder / "spent.json").read_text(encoding="utf-8"))
                return {f"{count:,} cassettes: {name}": value for name, value in {**cost, **spent}.items()}

            runs[tool.name] = measure
        found += take_turns(bench.size.rounds, runs)
    return found


def _large(bench: Bench) -> list[Series]:
    """Records and replays one large response."""
    found: list[Series] = []
    tools = [tool.environment for tool in bench.tools(TOOLS) if tool.name != FLOOR]
    paths = iter(range(10**9))
    for megabytes in bench.size.large:
        text = "The model says a lot. " * (megabytes * 10**6 // 22)

        def measure(tool: str, text: str = text, megabytes: int = megabytes) -> Values:
            path = bench.folder / f"{tool}-{megabytes}-{next(paths)}.yaml"
            with Upstream(lambda _: answer(text)) as upstream:
                url = upstream.url
                recorded = bench.inside("large", tool, "record", tool, path, url)
            replayed = bench.inside("large", tool, "replay", tool, path, url)
            if recorded["size"] != replayed["size"]:
                raise BenchmarkError(f"{tool} replays another response than it recorded")
            return {
                f"{megabytes} MB, {action}: {name}": values[name]
                for action, values in (("record", recorded), ("replay", replayed))
                for name in ("ms", "memory, MB")
            }

        found += take_turns(bench.size.rounds, {tool: partial(measure, tool) for tool in tools})
    return found


def _streams(bench: Bench) -> list[Series]:
    """Takes the time to the first chunk while recording, and counts chunks live and replayed."""
    frames = 40
    pace = bench.size.pace

    def wait(frame: int) -> None:
        time.sleep(pace)

    def measure(tool: str, client: str) -> Values:
        path = bench.folder / f"{tool}-{client}-{next(paths)}.yaml"
        with Upstream(lambda _: answer("word " * frames, before_frame=wait)) as upstream:
            url = f"{upstream.url}/chat/completions"
            live = bench.inside("streaming", tool, "record", tool, client, path, url)
        values = {f"{client}: {name}, recorded": value for name, value in live.items()}
        if tool != FLOOR and live:  # what did not end was not recorded
            replayed = bench.inside("streaming", tool, "replay", tool, client, path, url)
            values |= {
                f"{client}: {name}, replayed": value for name, value in replayed.items() if name == "chunks"
            }
        return values

    paths = iter(range(10**9))
    found: list[Series] = []
    for client in bench.size.clients:
        runs = {tool.name: partial(measure, tool.environment, client) for tool in bench.tools(TOOLS)}
        found += take_turns(bench.size.rounds, runs)
    return found


def _growth(bench: Bench) -> list[Series]:
    """Does the same work at a small size and at a large one, and takes what one unit of it costs."""
    found: list[Series] = []
    names = {"conversation": "turns of one conversation", "streams": "streams at once"}
    for tests, turns, at_once, interactions in bench.size.grown:
        for tool in bench.tools((FLOOR_TOOL, OUR_TOOL)):
            for action, values in _tests_of(bench, tool, tests).items():
                told = f"{tests:,} tests with a cassette each, {action}"
                found += _for_each(told, tool.name, values, tests)
            for work, count in (("conversation", turns), ("streams", at_once)):
                # What a conversation costs without a tool is that of a mock, what a stream costs, that of talking for real.
                modes = ("replay",) if work == "conversation" else ("record",)
                path = bench.folder / f"{tool.name}-{work}-{count}.yaml"
                for mode in modes if tool.name == FLOOR else ("record", "replay"):
                    with Upstream(script("")) as upstream:
                        environment = tool.environment
                        values = bench.inside(
                            "growing", environment, work, mode, environment, path, count, upstream.url
                        )
                    told = f"{count:,} {names[work]}, {mode}ed"
                    found += [Series(f"{told}: {name} each", tool.name, (it,)) for name, it in values.items()]
        found += _folder_of(bench, interactions)
    return found


def _for_each(told: str, tool: str, values: Values, count: int) -> list[Series]:
    return [
        Series(f"{told}: CPU, ms each", tool, (values[CPU] / count,)),
        Series(f"{told}: peak memory, KB each", tool, (values[PEAK] * 1e3 / count,)),
    ]


def _tests_of(bench: Bench, tool: Tool, tests: int) -> dict[str, Values]:
    suite = Suite("plain", tests, 1, 100)
    project = Project(bench.folder / f"{tool.name}-{tests}-tests", suite, tool, bench.environments)
    project.collect()  # so that bytecode is there for both
    if tool.name == FLOOR:
        return {"replayed": project.replay().values()}
    with Upstream(script(suite.text)) as upstream:
        recorded = project.record(upstream).values()
    return {"recorded": recorded, "replayed": project.replay().values()}


def _folder_of(bench: Bench, interactions: int) -> list[Series]:
    """Lists many cassettes of one folder, replays from one of them, and misses in a test beside them."""
    project = bench.folder / f"folder-{interactions}"
    cassettes = project / "cassettes" / "many"
    with Upstream(script("")) as upstream:
        for mode in ("record", "replay"):
            values = bench.inside(
                "growing", OURS, "folder", mode, OURS, cassettes, interactions, upstream.url
            )
    (project / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    (project / "test_miss.py").write_text(_MISS, encoding="utf-8")
    environments = bench.environments
    told = f"{interactions:,} interactions in one folder"
    listing = [environments.python(OURS), "-m", "pytest_stepreplay.cli", "list", "cassettes"]
    listed = run(listing, folder=project).values()
    missed = run(environments.pytest(OURS), folder=project, environment=environments.variables, status=1)
    return [
        Series(f"{told}: a replay: CPU, ms", OURS, (values["CPU, ms"],)),
        Series(f"{told}: a run of one miss: CPU, ms", OURS, (missed.values()[CPU],)),
        *_for_each(f"{told}, listed", OURS, listed, interactions),
    ]


_MISS = """
import httpx
import pytest


@pytest.mark.stepreplay
def test_miss():
    httpx.post("http://127.0.0.1:9/v1/chat/completions", json={"model": "m", "messages": []})
"""


def _snapshots(bench: Bench) -> list[Series]:
    runs: dict[str, Callable[[], Values]] = {}
    for kind in snapshots.KINDS:
        if bench.environments.has(kind.environment):
            suite = snapshots.SnapshotSuite(
                bench.folder / kind.name, kind, bench.size.tests, bench.size.fill, bench.environments
            )
            suite.run()
            runs[kind.name] = lambda suite=suite: suite.run().values()  # type: ignore[misc]
    return take_turns(bench.size.rounds, runs)


def _serving(bench: Bench) -> list[Series]:
    """Asks servers that replay, over several connections, and this one very often."""
    size = bench.size
    with serving.servers(bench.environments, bench.folder) as servers:
        for base, _ in servers.values():
            serving.ask_fast(base, size.asked)  # so that all are warm
        runs = {
            tool: serving.measured(base, connections=size.connections, rate=size.rate, requests=size.asked)
            for tool, (base, _) in servers.items()
        }
        found = take_turns(size.rounds, runs)
        base, process = servers[OURS]
        before = serving.resident(process)
        serving.ask_fast(base, size.many)
        after = serving.resident(process)
    measure = f"memory before and after {size.many:,} requests, MB"
    return [*found, Series(measure, OURS, (before, after))]


WORKS: Mapping[str, Work] = {
    "suite-plain": Work("A suite, each test asking 3 times, replayed", FLOOR, partial(_suite, "plain", 3)),
    "suite-streamed": Work(
        "A suite, each test streaming once, replayed", FLOOR, partial(_suite, "streamed", 1)
    ),
    "suite-conversations": Work(
        "A suite of conversations, replayed", FLOOR, partial(_suite, "conversation", 0)
    ),
    "suite-recording": Work("A suite, each test asking 3 times, recorded", FLOOR, _recording),
    "recording": Work("One cassette of many interactions, recorded", FLOOR, _recording_one),
    "cassette": Work("One cassette, loaded and replayed", OURS, _one_cassette),
    "comparing": Work("Comparing answers", OURS, _comparing),
    "snapshots": Work("A suite of snapshots", FLOOR, _snapshots),
    "start-up": Work("Installed and not used: one test that does nothing", OURS, _start_up),
    "collecting": Work("Collecting marked tests", FLOOR, _collecting),
    "many-tests": Work("Many tests: only collected, narrowed, and in eight processes", FLOOR, _many_tests),
    "checks": Work("Checks at the end of a run", FLOOR, _checks_at_the_end),
    "large": Work("One large response", OURS, _large),
    "streams": Work("A stream while it is recorded, and replayed", FLOOR, _streams),
    "growth": Work("Few and many: what one costs", FLOOR, _growth),
    "server": Work("A request to a server that replays", serving.ALONE, _serving),
}


def named(names: Sequence[str], works: Iterable[str]) -> list[str]:
    """Returns the works that these names mean: each is a work or the beginning of some; all of them without a name.

    Raises:
        BenchmarkError: a name means none.
    """
    every = list(works)
    for name in names:
        if not any(work.startswith(name) for work in every):
            raise BenchmarkError(f"there is no work {name!r}; there are {', '.join(every)}")
    return [work for work in every if not names or any(work.startswith(name) for name in names)]
