"""Tests that replace the file system, or stand somewhere else: cassettes are read from and written to the real disk."""

from __future__ import annotations

import stat

import pytest

from .suite import QUICK, Suite

MOCKS = (
    QUICK
    + """
    import builtins, io, pathlib
    from unittest import mock
    from pytest_stepreplay import use_cassette

    def fail(*_, **__):
        raise OSError("a mock")

    MOCKS = {{
        "open": lambda: mock.patch("builtins.open", mock.mock_open(read_data="fake")),
        "io": lambda: mock.patch.multiple("io", open=fail, open_code=fail),
        "os": lambda: mock.patch.multiple("os", **dict.fromkeys((
            "access", "chmod", "fsync", "getcwd", "listdir", "lstat", "mkdir", "open", "readlink",
            "remove", "rename", "replace", "scandir", "stat", "unlink", "write", "fdopen", "close"), fail)),
        "exists": lambda: mock.patch.multiple("os.path", exists=lambda _: False, lexists=lambda _: False,
            isfile=lambda _: False, isdir=lambda _: True, realpath=fail, abspath=fail),
        "pathlib": lambda: mock.patch.multiple("pathlib.Path", **dict.fromkeys((
            "exists", "is_file", "is_dir", "mkdir", "open", "read_bytes", "read_text", "replace",
            "resolve", "stat", "unlink", "write_bytes", "cwd", "is_symlink"), fail)),
    }}

    @pytest.fixture
    def mocked(request):
        with MOCKS[request.param]():
            yield

    @pytest.mark.stepreplay
    @pytest.mark.parametrize("mocked", MOCKS, indirect=True)
    def test_mocked(mocked, chat_snapshot):
        assert ask("Say hello.") == chat_snapshot

    @pytest.mark.parametrize("name", MOCKS)
    def test_block(name):
        path = pathlib.Path(__file__).with_name("blocks") / (name + ".yaml")
        with MOCKS[name]():
            with use_cassette(path):
                assert ask("Say hello.")
            with use_cassette(path):
                assert ask("Say hello.")

    @pytest.mark.stepreplay
    def test_elsewhere(tmp_path, monkeypatch, chat_snapshot):
        monkeypatch.setenv("HOME", str(tmp_path / "none"))
        gone = tmp_path / "gone"
        gone.mkdir()
        monkeypatch.chdir(gone)
        gone.rmdir()
        assert ask("Say hello.") == chat_snapshot

    @pytest.fixture
    def umask():
        before = os.umask(0o777)
        yield
        os.umask(before)

    @pytest.mark.stepreplay(cassette="deep/down/umask.yaml")
    def test_umask(umask, chat_snapshot):
        with use_cassette(pathlib.Path(__file__).with_name("under") / "umask.yaml"):
            assert ask("Say hello to the mask.")
        assert ask("Say hello.") == chat_snapshot

    def test_moved(tmp_path, monkeypatch):
        with use_cassette("blocks/moved.yaml"):
            monkeypatch.chdir(tmp_path)
            assert ask("Say hello.")
    """
)


def test_a_disk_that_a_test_mocks_is_not_the_plugins(suite: Suite) -> None:
    suite.write(MOCKS)
    suite.record().assert_outcomes(passed=14)
    here = suite.pytester.path
    assert sorted(each.name for each in (here / "blocks").iterdir()) == [
        "exists.yaml", "io.yaml", "moved.yaml", "open.yaml", "os.yaml", "pathlib.yaml",
    ]  # fmt: skip
    modes = {each.name: stat.S_IMODE(each.stat().st_mode) for each in (here / "under").iterdir()}
    modes |= {each.name: stat.S_IMODE(each.stat().st_mode) for each in suite.cassette("").rglob("*umask*")}
    ordinary = here / "test_chat.py"
    folder = stat.S_IMODE((here / "blocks").stat().st_mode)
    file = stat.S_IMODE(ordinary.stat().st_mode) & 0o644
    assert modes == {"umask.yaml": file, "test_umask.snapshots.yaml": file}
    assert stat.S_IMODE(suite.cassette("deep/down").stat().st_mode) == folder
    suite.go_offline()
    suite.run().assert_outcomes(passed=14)


FAKES = (
    QUICK
    + """
    import pathlib
    from pyfakefs.fake_filesystem_unittest import Patcher
    from pytest_stepreplay import use_cassette

    HERE = pathlib.Path(__file__).parent

    @pytest.mark.stepreplay
    def test_fs(fs, chat_snapshot):
        fs.create_file("/etc/prompt", contents="Say hello.")
        assert ask(pathlib.Path("/etc/prompt").read_text()) == chat_snapshot
        assert not os.path.exists(str(HERE / "test_chat.py"))

    @pytest.mark.stepreplay
    def test_first_the_cassette(stepreplay, fs, chat_snapshot):
        assert ask("Say hello.") == chat_snapshot

    class TestWide:
        @pytest.mark.stepreplay
        def test_one(self, fs_module, chat_snapshot):
            assert ask("Say hello.") == chat_snapshot

        @pytest.mark.stepreplay
        def test_two(self, fs_module, chat_snapshot):
            assert ask("Say goodbye.") == chat_snapshot

    def test_block(fs_module):
        with use_cassette(str(HERE / "blocks/fs.yaml")):
            assert ask("Say hello.")
            if hasattr(os, "fork"):
                child = os.fork()
                if not child:
                    os._exit(0 if ask("Say hello to the child.") else 1)
                assert os.waitpid(child, 0)[1] == 0
        with use_cassette(HERE / "blocks/fs.yaml"):
            assert ask("Say hello.")
        with pytest.raises(BaseException, match="not recorded"):
            with use_cassette(HERE / "blocks/fs.yaml", mode="replay"):
                ask("Say something else.")

    def test_patcher():
        with Patcher() as patcher:
            with use_cassette(HERE / "blocks/patcher.yaml"):
                assert ask("Say hello.")
            assert not patcher.fs.exists(str(HERE / "blocks"))

    def test_no_module_was_lost_or_is_there_twice():
        import importlib, sys, types
        import pytest_stepreplay
        packages, seen = [pytest_stepreplay], set()
        for package in packages:
            for name, value in list(vars(package).items()):
                is_part = isinstance(value, types.ModuleType) and value.__name__ == f"{{package.__name__}}.{{name}}"
                if is_part and value.__name__ in sys.modules:  # the others have not run
                    assert importlib.import_module(value.__name__) is value
                    seen.add(value)
                    packages += [value] if hasattr(value, "__path__") else []
        assert len(seen) > 50

    @pytest.mark.stepreplay
    def test_after(chat_snapshot):
        assert ask("Say hello after.") == chat_snapshot
    """
)


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_fake_file_system_is_not_the_plugins(suite: Suite) -> None:
    suite.write(FAKES)
    suite.needs = ("fakefs",)  # in a process of its own, where it is first used while the disk is fake
    suite.monkeypatch.setenv("STEP_API_KEY", "sk-step-test-4f9a1c77d2e84b0b")
    run = suite.run_process
    run("--stepreplay=record").assert_outcomes(passed=9)
    suite.go_offline()
    run("--stepreplay=verify", "--stepreplay-fail-on=never", "-k", "test_fs or test_one").assert_outcomes(
        passed=2, deselected=7
    )
    result = run("--stepreplay-unused=error")
    result.assert_outcomes(passed=9)
