"""The command line: help, verify, gguf, and what is refused with a sentence."""

import json
import os
import re
import socket
import struct
import subprocess

import pytest

from conftest import client_of, text_of
from node import BINARY, LAYER_COUNT, REPOSITORY, Node
from questions import CAPITAL, CAPITAL_ANSWER

MODEL = REPOSITORY / "Models" / "skein-tiny-q8_0.gguf"

#: Exit codes of the contract.
DONE, FAILED, USAGE, NOT_REACHABLE = 0, 1, 2, 3

#: What no output of a command may hold: traces of a crash instead of a sentence.
CRASH_WORDS = ["Fatal error", "Stack dump", "Program crashed", "Backtrace", "libc++abi", "GGML_ASSERT", "SIGSEGV"]


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def skein(cache):
    """Runs the binary to its end and checks that it ended in order."""

    def run(*arguments, seconds=50):
        ended = subprocess.run(
            [BINARY, *map(str, arguments)], capture_output=True, text=True, timeout=seconds, stdin=subprocess.DEVNULL,
            env=dict(os.environ, XDG_CACHE_HOME=str(cache), SKEIN_HOME=str(cache / "data")), errors="strict")
        assert ended.returncode >= 0, f"signal {-ended.returncode}: {ended.stderr}"
        for word in CRASH_WORDS:
            assert word not in ended.stdout + ended.stderr
        return ended

    return run


def check_refusal(ended, code, *words):
    """A refusal is one short sentence on standard error with the words that help."""
    assert ended.returncode == code, ended
    assert ended.stderr.strip(), "a refusal says why"
    for word in words:
        assert word in ended.stderr, ended.stderr
    assert len(ended.stderr) < 2000


# Help


def subcommands(text):
    """The names under SUBCOMMANDS: of a help text."""
    _, _, list_of_names = text.partition("SUBCOMMANDS:\n")
    return re.findall(r"^  ([a-z][a-z-]*)(?: {2,}|$)", list_of_names, re.MULTILINE)


def test_help_names_the_commands(skein):
    ended = skein("--help")
    assert ended.returncode == DONE
    assert {"serve", "verify", "gguf"} <= set(subcommands(ended.stdout))


def test_every_command_explains_itself(skein):
    """Walks the whole tree of commands."""
    waiting, seen = [[]], 0
    while waiting:
        path = waiting.pop()
        ended = skein(*path, "--help")
        assert ended.returncode == DONE, path
        assert "USAGE:" in ended.stdout and "OVERVIEW:" in ended.stdout, path
        waiting += [[*path, name] for name in subcommands(ended.stdout) if name != "help"]
        seen += 1
    assert seen >= 6
    assert skein("runner", "--help").returncode == DONE


def test_the_version_is_a_version(skein):
    ended = skein("--version")
    assert ended.returncode == DONE
    assert re.fullmatch(r"\d+\.\d+\.\d+\S*\n", ended.stdout)


# Usage


@pytest.mark.parametrize("arguments", [
    ["bogus"], ["serve", "--bogus"], ["serve", "--stages", "0"], ["serve", "--stages", "two"], ["serve", "--cut", "a"],
    ["serve", "--listen", "nowhere"], ["serve", "--listen", "127.0.0.1:70000"], ["serve", "--wire", "f8"],
    ["serve", "--threads", "0"], ["serve", "--log-level", "loud"], ["serve", "one", "two"], ["verify", "--cuts", "x"],
    ["verify", "--wire", "f8"], ["gguf", "inspect"], ["gguf", "validate"], ["gguf", "bogus"],
    ["nodes", "--node", "ftp://x"], ["deploy"], ["deploy", "m", "--wait=0"], ["token", "create", "--ttl", "forever"],
], ids=" ".join)
def test_a_usage_error_exits_with_2(skein, arguments):
    ended = skein(*arguments)
    check_refusal(ended, USAGE, "Usage:")
    assert ended.stdout == ""


# A cluster


CLUSTER_COMMANDS = [
    ["nodes"], ["status"], ["status", "--watch"], ["ps"], ["deploy", "m"], ["deploy", "m", "--wait", "--json"],
    ["undeploy", "m"], ["drain", "n"], ["remove", "n"], ["token", "create"], ["token", "list"], ["token", "revoke", "t"],
    ["plan", "m", "--on-cluster"],
]


@pytest.mark.parametrize("arguments", CLUSTER_COMMANDS, ids=" ".join)
def test_without_a_node_a_cluster_command_exits_with_3(skein, arguments):
    with socket.socket() as held:  # bound and not listening: nobody else gets the port
        held.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{held.getsockname()[1]}"
        ended = skein(*arguments, "--node", url)
    check_refusal(ended, NOT_REACHABLE, url, "refused", "skein serve")
    assert ended.stdout == ""


# Verify


def check_report(report, cuts):
    """The documented members, and that every cut is equal bit for bit."""
    assert {"model", "architecture", "layers", "stages", "wire", "cuts", "passed"} <= set(report)
    assert report["architecture"] == "qwen3"
    assert report["layers"] == LAYER_COUNT
    assert report["wire"] == "f32"
    assert report["passed"] is True
    assert len(report["cuts"]) == len({tuple(entry["cut"]) for entry in report["cuts"]})
    for entry in report["cuts"]:
        assert {"cut", "legal", "max_abs_diff", "tokens_equal", "tokens"} <= set(entry)
        assert entry["legal"] is True
        assert entry["max_abs_diff"] == 0
        assert entry["tokens_equal"] == entry["tokens"] >= 64
    if cuts is not None:
        assert [entry["cut"] for entry in report["cuts"]] == cuts


def test_verify_finds_every_cut_of_the_built_in_model_equal(skein):
    ended = skein("verify", "--json")
    assert ended.returncode == DONE, ended.stderr
    report = json.loads(ended.stdout)
    check_report(report, None)
    cuts = [entry["cut"] for entry in report["cuts"]]
    assert [cut for cut in cuts if len(cut) == 1] == [[layer] for layer in range(1, LAYER_COUNT)]
    assert {len(cut) + 1 for cut in cuts} >= {2, 3, 4}
    assert report["stages"] == max(len(cut) + 1 for cut in cuts)


def test_verify_runs_one_cut(skein):
    ended = skein("verify", "--cuts", "3,6", "--json")
    assert ended.returncode == DONE, ended.stderr
    check_report(json.loads(ended.stdout), [[3, 6]])


def test_verify_cuts_into_as_many_stages_as_there_are_layers(skein):
    ended = skein("verify", MODEL, "--stages", LAYER_COUNT, "--json")
    assert ended.returncode == DONE, ended.stderr
    check_report(json.loads(ended.stdout), [list(range(1, LAYER_COUNT))])


def test_verify_tells_people_each_cut(skein):
    ended = skein("verify", "--stages", "2")
    assert ended.returncode == DONE, ended.stderr
    lines = ended.stdout.splitlines()
    assert sum(line.startswith("cut ") for line in lines) == LAYER_COUNT - 1
    assert "7 of 7" in lines[-2]
    assert lines[-1] == "prompts that go through the layers one by one: equal, 195 of 195 tokens"


def test_verify_fails_when_the_wire_loses_bits(skein):
    """q8 activations cannot be bit for bit equal: this shows that the comparison can fail."""
    ended = skein("verify", "--cuts", "4", "--wire", "q8", "--json")
    assert ended.returncode == FAILED
    report = json.loads(ended.stdout)
    assert report["passed"] is False
    [entry] = report["cuts"]
    assert entry["max_abs_diff"] > 0


@pytest.mark.parametrize("arguments, words", [
    (["--cuts", "6,3"], ["6,3", "7"]), (["--cuts", "0"], ["0", "7"]), (["--cuts", "99"], ["99", "7"]),
    (["--stages", "9"], ["9", "8"]), (["/no/such/model.gguf"], ["/no/such/model.gguf"]),
], ids=str)
def test_verify_refuses_what_cannot_be(skein, arguments, words):
    ended = skein("verify", *arguments)
    assert ended.returncode in [FAILED, USAGE], ended
    check_refusal(ended, ended.returncode, *words)


# GGUF


def test_gguf_inspect_shows_the_model(skein):
    ended = skein("gguf", "inspect", MODEL)
    assert ended.returncode == DONE
    for word in ["qwen3", "8 layers", "7345408", "legal cuts: 1,2,3,4,5,6,7"]:
        assert word in ended.stdout
    report = json.loads(skein("gguf", "inspect", MODEL, "--json", "--tensors").stdout)
    assert (report["architecture"], report["layers"], report["parameters"]) == ("qwen3", LAYER_COUNT, 7_345_408)
    assert report["legal_cuts"] == list(range(1, LAYER_COUNT))
    assert any(tensor["name"] == "blk.0.attn_q.weight" for tensor in report["tensors"])


def test_gguf_validate_finds_the_model_sound(skein):
    ended = skein("gguf", "validate", MODEL)
    assert ended.returncode == DONE
    assert "sound" in ended.stdout


def malformed():
    """Name → bytes of files that must be refused."""
    whole = MODEL.read_bytes()
    # Magic 0, version 4, tensor count 8, metadata count 16, first key's length 24.
    return {
        "empty": b"",
        "one byte": whole[:1],
        "bad magic": b"GGML" + whole[4:],
        "text": b"This is not a model.\n" * 100,
        "version 0": whole[:4] + struct.pack("<I", 0) + whole[8:],
        "version 99": whole[:4] + struct.pack("<I", 99) + whole[8:],
        "big endian": whole[:4] + struct.pack(">I", 3) + whole[8:],
        "header cut": whole[:23],
        "metadata cut": whole[:2_000],
        "tensors cut": whole[: len(whole) // 2],
        "last byte cut": whole[:-1],
        "endless tensors": whole[:8] + struct.pack("<Q", 1 << 62) + whole[16:],
        "endless metadata": whole[:16] + struct.pack("<Q", 1 << 62) + whole[24:],
        "endless key": whole[:24] + struct.pack("<Q", 1 << 63) + whole[32:],
        "no metadata": whole[:8] + struct.pack("<QQ", 0, 0),
        "zeros behind the magic": whole[:4] + bytes(4096),
    }


@pytest.mark.parametrize("name", malformed())
def test_a_malformed_model_is_refused_with_a_sentence(skein, tmp_path, name):
    file = tmp_path / "bad.gguf"
    file.write_bytes(malformed()[name])
    validated = skein("gguf", "validate", file)
    assert validated.returncode == FAILED, validated
    assert "bad.gguf" in validated.stdout + validated.stderr
    served = skein("serve", "--listen", "127.0.0.1:0", file)
    assert served.returncode == FAILED, served
    assert served.stderr.strip() and served.stdout == ""
    inspected = skein("gguf", "inspect", file)
    assert inspected.returncode in [DONE, FAILED]
    if inspected.returncode == FAILED:
        check_refusal(inspected, FAILED)


def test_validate_looks_at_every_file(skein, tmp_path):
    file = tmp_path / "bad.gguf"
    file.write_bytes(b"GGUF")
    ended = skein("gguf", "validate", file, MODEL)
    assert ended.returncode == FAILED
    assert "bad.gguf" in ended.stdout and f"{MODEL}: sound" in ended.stdout


# Serve


@pytest.mark.parametrize("arguments, words", [
    (["/no/such/model.gguf"], ["/no/such/model.gguf"]),
    (["/"], ["/"]),
    (["--cut", "9"], ["9", "7"]),
    (["--cut", "3,2"], ["3,2", "7"]),
    (["--cut", "0"], ["0", "7"]),
    (["--stages", "99"], ["99", "8"]),
    (["--lanes", "0"], ["0"]),
    (["--ctx", "1"], ["1"]),
    (["--listen", "192.0.2.1:0"], ["192.0.2.1"]),
], ids=lambda value: " ".join(value))
def test_serve_refuses_what_cannot_be(skein, arguments, words):
    if "--listen" not in arguments:
        arguments = [*arguments, "--listen", "127.0.0.1:0"]
    ended = skein("serve", *arguments)
    assert ended.returncode in [FAILED, USAGE], ended
    check_refusal(ended, ended.returncode, *words)
    assert ended.stdout == ""


def test_serve_refuses_a_port_in_use_by_name(skein):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        ended = skein("serve", "--listen", f"127.0.0.1:{port}")
    check_refusal(ended, FAILED, str(port), "in use", "--listen")


def test_a_file_can_be_served_under_a_name(own_node):
    node = own_node(MODEL, "--name", "mine", "--cut", "2,5", "--threads", 1)
    assert len(node.runners()) == 3
    assert json.loads(node.get("/v1/models")[1])["data"][0]["id"] == "mine"
    node.stop()


def test_devices_are_listed_and_only_those_can_be_chosen(skein, own_node):
    ended = skein("devices", "--json")
    assert ended.returncode == DONE
    devices = json.loads(ended.stdout)
    assert any(device["compute"] == "cpu" and not device["isOffload"] for device in devices)
    assert "CPU" in skein("devices").stdout
    check_refusal(skein("serve", "--device", "CUDA97", "--alone"), USAGE, "CUDA97", "none")
    node = own_node("--device", "none", "--threads", 1)
    assert text_of(client_of(node), CAPITAL) == CAPITAL_ANSWER
    node.stop()


def test_this_machine_is_measured_and_plans_tell_its_speed(skein, cache):
    measured = cache / "data" / "device.json"
    measured.unlink(missing_ok=True)
    unknown = skein("plan")
    assert unknown.returncode == DONE and "speed: unknown" in unknown.stdout
    figures = json.loads(skein("devices", "--speed", "--json").stdout)
    assert figures["speed"]["weightReadBytesPerSecond"] > 0 and not measured.exists()
    kept = skein("devices", "--speed", "--keep")
    assert kept.returncode == DONE and "q8_0" in kept.stdout and measured.exists()
    known = skein("plan")
    assert "predicted:" in known.stdout and "TOKENS/S" in known.stdout
    plan = json.loads(skein("plan", "--json").stdout)["placements"][0]
    assert plan["tokenTime"]["isMeasured"] and plan["stages"][0]["basis"]["weightTime"]["milliseconds"] > 0
    measured.write_bytes(measured.read_bytes()[:-9])
    assert "speed: unknown" in skein("plan").stdout
    measured.unlink()
    check_refusal(skein("devices", "--threads", 1), USAGE, "--speed")
    check_refusal(skein("devices", "--speed", "--device", "CUDA97"), USAGE, "CUDA97")


def test_a_file_is_called_by_its_name(own_node):
    node = own_node(MODEL, "--threads", 1)
    assert json.loads(node.get("/v1/models")[1])["data"][0]["id"] == "skein-tiny-q8_0"
    node.stop()


@pytest.mark.parametrize("kept", [0.0, 0.5], ids=["emptied", "cut in half"])
def test_a_broken_cache_is_made_anew(own_node, kept):
    """What a crash or a full disk leaves behind is not served."""
    node = own_node("--stages", 2, "--threads", 1)
    files = [path for path in (node.folder / "cache").rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) > 1 << 20, "the stages are kept in the cache"
    node.stop()
    for path in files:
        path.chmod(0o644)
        os.truncate(path, int(path.stat().st_size * kept))
    node.start()
    assert text_of(client_of(node), CAPITAL) == CAPITAL_ANSWER
    node.stop()


def test_two_nodes_share_a_cache(tmp_path):
    """Both find or make the same stage files at the same time."""
    first, second = (Node(tmp_path / name, "--stages", 3, "--threads", 1) for name in ["first", "second"])
    (tmp_path / "first" / "cache").mkdir(parents=True)
    (tmp_path / "second").mkdir()
    (tmp_path / "second" / "cache").symlink_to(tmp_path / "first" / "cache")
    try:
        first.launch(), second.launch()
        for node in [first, second]:
            node.wait_for_port().wait_until_ready()
        for node in [first, second]:
            node.stop()
    finally:
        first.destroy(), second.destroy()
