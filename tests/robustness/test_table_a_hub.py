"""Fault table A, downloads: a hub on the loopback interface that breaks off, lies, hangs or is not there."""

from __future__ import annotations

import ctypes
import json
import os
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import hub_server
import pytest
from fault_tools import Finished, Run, contents, times
from hub_server import COMMIT, Fault, Hub, serve

from nuwa_cli.errors import EnvironmentFault, UsageError
from nuwa_cli.hub import fetch
from nuwa_cli.hub.catalog import find_model, is_repository

SPEC = "me/tiny@main"
WEIGHTS = "transformer.safetensors"
Refuses = Callable[..., Finished]


def online(hub: Hub, cache: Path) -> dict[str, str | None]:
    """The environment of a command that may ask this hub."""
    return {
        "HF_HUB_OFFLINE": "0",
        "HF_ENDPOINT": hub.endpoint,
        "HF_HUB_CACHE": str(cache),
        "HF_HUB_DISABLE_XET": "1",
        "no_proxy": "*",
    }


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def snapshot(cache: Path) -> Path:
    return cache / "models--me--tiny" / "snapshots" / COMMIT


def check_cache(cache: Path, model_folder: Path) -> None:
    """What stands under a final name is whole; nothing unfinished is left."""
    for path in snapshot(cache).glob("*"):
        assert path.read_bytes() == (model_folder / path.name).read_bytes(), path.name
    assert not list(cache.rglob("*.incomplete"))


VERIFY = ("models", "verify", SPEC)


@pytest.mark.row("A10")
def test_a_download_and_the_cache_after_it(nuwa: Run, cache: Path, model_folder: Path) -> None:
    with serve(model_folder) as hub:
        done = nuwa(*VERIFY, env=online(hub, cache))
        assert done.status == 0, done
        asked = len(hub.requests)
        assert asked >= 10
        assert nuwa(*VERIFY, env=online(hub, cache)).status == 0
        assert len(hub.requests) == asked, "a model in the cache needs no request"
        check_cache(cache, model_folder)
        environment = {**online(hub, cache), "HF_HUB_OFFLINE": "1"}
    assert nuwa(*VERIFY, env=environment).status == 0  # the hub is gone


@pytest.mark.row("A10")
@pytest.mark.parametrize(
    "fraction", [0.5, 1.0] + [index / 200 for index in range(times(0, 0, 200))]
)
def test_cut_downloads_are_continued(
    nuwa: Run, cache: Path, model_folder: Path, fraction: float
) -> None:
    cut = hub_server.cut_at(lambda length: min(int(length * fraction), length - 1), only=WEIGHTS)
    with serve(model_folder, cut) as hub:
        done = nuwa(*VERIFY, env=online(hub, cache))
    assert done.status in (0, 5), done
    check_cache(cache, model_folder)
    assert done.status == 5 or (snapshot(cache) / WEIGHTS).is_file()


def ignore_ranges(handler: hub_server.Handler, _: str, content: bytes) -> bool:
    handler.send_file(content, ranges=False)
    return True


def wrong_length(handler: hub_server.Handler, _: str, content: bytes) -> bool:
    """The file has grown since the manifest was written."""
    handler.send(200, content + b"more", handler.file_headers(content))
    return True


@pytest.mark.row("A10")
@pytest.mark.parametrize(
    ("fault", "statuses"),
    [
        (ignore_ranges, {0}),
        (wrong_length, {3, 5}),
        (hub_server.fail_with(503, 1), {0}),
        (hub_server.fail_with(500), {5}),
        (hub_server.fail_with(404), {3, 5}),
        (hub_server.fail_with(401), {5}),
    ],
    ids=["ranges ignored", "wrong length", "busy once", "broken", "gone", "forbidden"],
)
def test_servers_that_misbehave(
    nuwa: Run, work: Path, cache: Path, model_folder: Path, fault: Fault, statuses: set[int]
) -> None:
    with serve(model_folder, fault) as hub:
        done = nuwa(*VERIFY, env=online(hub, cache), timeout=30)
    assert done.status in statuses, done
    if done.status:
        done.check_refusal(done.status, "me/tiny" if done.status == 5 else "")
    check_cache(cache, model_folder)
    assert not list(work.iterdir())


@pytest.mark.row("A10")
def test_a_download_that_drips_is_given_up(
    monkeypatch: pytest.MonkeyPatch, cache: Path, model_folder: Path
) -> None:
    """In eight seconds less than 4 KiB; in three, to be quick."""
    monkeypatch.setattr(fetch, "STALL_SECONDS", 8.0 if times(0, 0, 1) else 3.0)
    with serve(model_folder, hub_server.drip) as hub:
        # First what is imported here: it reads the environment once, for all later tests.
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(cache))
        for name, value in online(hub, cache).items():
            monkeypatch.setenv(name, str(value))
        with pytest.raises(EnvironmentFault, match=r"me/tiny@main.*nothing arrived for"):
            fetch.fetch_repository(SPEC)
    check_cache(cache, model_folder)


@pytest.mark.row("A9")
def test_a_wrong_digest_is_moved_aside_and_fetched_anew(
    nuwa: Run, cache: Path, model_folder: Path
) -> None:
    with serve(model_folder, hub_server.flip_bit(WEIGHTS, 5000)) as hub:
        environment = online(hub, cache)
        done = nuwa(*VERIFY, env=environment)
        done.check_refusal(3, "sha256 is ")
        assert done.stderr.rstrip().endswith("run it again")
        assert len(list(cache.rglob("*.damaged"))) == 1
        hub.fault = None
        assert nuwa(*VERIFY, env=environment).status == 0
        check_cache(cache, model_folder)
        blob = (snapshot(cache) / WEIGHTS).resolve()  # and a bit that rots in the cache later
        content = bytearray(blob.read_bytes())
        content[-5] ^= 4
        blob.write_bytes(content)
        nuwa(*VERIFY, env=environment).check_refusal(3, "sha256 is ")
        assert nuwa(*VERIFY, env=environment).status == 0


@pytest.mark.row("A11")
def test_no_network(nuwa: Run, work: Path, cache: Path) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    dead = {
        "nobody listens": {"HF_ENDPOINT": f"http://127.0.0.1:{port}", "no_proxy": "*"},
        "no such name": {"HF_ENDPOINT": "http://hub.invalid", "no_proxy": "*"},
        "dead proxy": {
            "HF_ENDPOINT": "http://hub.invalid",
            "http_proxy": f"http://127.0.0.1:{port}",
            "no_proxy": None,
        },
    }
    for environment in dead.values():
        environment |= {"HF_HUB_OFFLINE": "0", "HF_HUB_CACHE": str(cache)}
    with ThreadPoolExecutor() as at_once:  # each of them waits for seconds
        ends = at_once.map(lambda env: nuwa(*VERIFY, env=env, timeout=20), dead.values())
    for what, done in zip(dead, ends, strict=True):
        done.check_refusal(5, "me/tiny@main")
        assert "HF_HUB_OFFLINE" in done.stderr, what
    done = nuwa(*VERIFY, env={"HF_HUB_CACHE": str(cache)})  # the tests run offline
    done.check_refusal(5, "HF_HUB_OFFLINE forbids")
    done.check_cheap()
    assert not list(work.iterdir())


@pytest.mark.row("A11")
def test_a_hub_that_never_answers(nuwa: Run, cache: Path) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        endpoint = f"http://127.0.0.1:{silent.getsockname()[1]}"
        environment = {"HF_HUB_OFFLINE": "0", "HF_ENDPOINT": endpoint, "HF_HUB_CACHE": str(cache)}
        done = nuwa(*VERIFY, env={**environment, "no_proxy": "*"}, timeout=15)
    done.check_refusal(5, "nothing arrived for 8 s")


def without_privileges() -> None:
    """Permissions count even for root: what is run next lacks the right to pass over them."""
    libc = ctypes.CDLL(None, use_errno=True)
    for capability in (1, 2):  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
        libc.prctl(24, capability, 0, 0, 0)  # PR_CAPBSET_DROP


@pytest.fixture
def filled(nuwa: Run, cache: Path, model_folder: Path) -> Path:
    with serve(model_folder) as hub:
        assert nuwa(*VERIFY, env=online(hub, cache)).status == 0
    return cache


@pytest.mark.row("A12")
def test_a_read_only_cache_is_used(nuwa: Run, filled: Path) -> None:
    for folder, _, _ in os.walk(filled, topdown=False):
        os.chmod(folder, 0o500)
    before = contents(filled)
    try:
        done = nuwa(*VERIFY, env={"HF_HUB_CACHE": str(filled)}, before=without_privileges)
    finally:
        for folder, _, _ in os.walk(filled):
            os.chmod(folder, 0o700)
    assert done.status == 0, done
    assert contents(filled) == before


@pytest.mark.row("A12")
def test_other_layouts_of_the_cache(
    nuwa: Run, work: Path, filled: Path, tmp_path: Path, model_folder: Path
) -> None:
    linked = tmp_path / "linked"
    linked.symlink_to(filled)
    assert nuwa(*VERIFY, env={"HF_HUB_CACHE": str(linked)}).status == 0
    for path in snapshot(filled).iterdir():  # a file system without links
        content = path.read_bytes()
        path.unlink()
        path.write_bytes(content)
    assert nuwa(*VERIFY, env={"HF_HUB_CACHE": str(filled)}).status == 0
    (snapshot(filled) / WEIGHTS).unlink()
    (snapshot(filled) / WEIGHTS).symlink_to("../../blobs/gone")
    nuwa(*VERIFY, env={"HF_HUB_CACHE": str(filled)}).check_refusal(5, "not in the cache")
    with serve(model_folder) as hub:
        assert nuwa(*VERIFY, env=online(hub, filled)).status == 0
    assert not list(work.iterdir())


@pytest.mark.row("A12")
def test_a_cache_that_cannot_be_written(
    nuwa: Run, work: Path, tmp_path: Path, model_folder: Path
) -> None:
    import resource

    (tmp_path / "file").write_text("")
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o500)
    cases = (
        (tmp_path / "file" / "cache", {}),
        (closed / "cache", {"before": without_privileges}),
        (tmp_path / "full", {"limits": {resource.RLIMIT_FSIZE: 10_000}}),
    )
    for cache, options in cases:
        with serve(model_folder) as hub:
            done = nuwa(*VERIFY, env=online(hub, cache), timeout=30, **options)
        done.check_refusal(5, "me/tiny@main")
    assert not list((tmp_path / "full").rglob("*.incomplete"))
    assert not list(closed.iterdir()) and not list(work.iterdir())


HOSTILE = (
    *("a/../../b", "../../etc/passwd", "me/tiny@../../x", "me/tiny@", "me/tiny@a@b", "me/ti\nny"),
    *("me/tiny\0", "x" * 10_000, "me/" + "x" * 10_000, "https://example.org/me/tiny", "me\\tiny"),
    *("C:\\models\\x", "me/tiny?x=1", "me/tiny#x", "me/%2e%2e", "me/tiny@main\r\nHost: x", " ", ""),
    *("me/tiny@\u202emain", "s3://bucket/x", "hf://me/tiny", "me:tiny/x", "me/tiny@v1|x"),
)


@pytest.mark.row("A14")
def test_hostile_names(nuwa: Run, inside: Run, cache: Path, model_folder: Path, work: Path) -> None:
    """All of them end before anything could be asked."""
    assert len(HOSTILE) >= 20
    for name in HOSTILE:
        assert not is_repository(name)
        with pytest.raises(UsageError):
            find_model(name)
        inside("models", "verify", name).check_refusal(2, "model '")
    with serve(model_folder) as hub:
        for name in ("a/../../b", "me/ti\nny"):
            done = nuwa("models", "verify", name, env=online(hub, cache))
            done.check_refusal(2, "model '")
            done.check_cheap()
        assert not hub.requests
    assert not cache.exists() and not list(work.iterdir())


@pytest.mark.row("A7")
def test_a_hub_that_names_other_files(nuwa: Run, cache: Path, model_folder: Path) -> None:
    """Only names of ours are ever asked for, whatever the manifest of a repository says."""
    manifest = json.loads((model_folder / "manifest.json").read_text())
    manifest["files"]["../../../evil"] = {"sha256": "0" * 64, "size": 1}
    with serve(model_folder) as hub:
        hub.files["manifest.json"] = json.dumps(manifest).encode()
        done = nuwa(*VERIFY, env=online(hub, cache))
        done.check_refusal(3, "no model of nuwa")
        assert all(request.endswith("/manifest.json") for request in hub.requests)
