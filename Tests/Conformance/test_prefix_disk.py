"""Prefixes on disk: a conversation goes on after a restart without being computed again."""

import os
import stat
import subprocess
import time

import pytest
from conftest import client_of
from node import BINARY, MODEL_NAME, Node, wait_until

LONG = "You are a careful assistant. " + "Remember that Ada likes geese and rivers. " * 24


@pytest.fixture(params=[1, 2], ids=lambda stages: f"{stages}-stages")
def node(request, tmp_path):
    node = Node(tmp_path / "node", "--stages", request.param, "--threads", 1, "--prefix-disk", "200MB", "--alone")
    node.start()
    yield node
    node.destroy()


def ask(node, messages, **extra):
    began = time.monotonic()
    answer = client_of(node).chat.completions.create(
        model=MODEL_NAME, messages=messages, temperature=0, max_tokens=8, extra_body=extra)
    return answer, time.monotonic() - began


def cached(answer):
    return answer.usage.prompt_tokens_details.cached_tokens


def files(node, ending=""):
    return sorted(p for p in (node.folder / "cache" / "skein" / "prefixes").rglob("*" + ending)
                  if p.is_file() and p.name != "lock")


def first_turn():
    return [{"role": "system", "content": LONG}, {"role": "user", "content": "What is the capital of Peru?"}]


def second_turn(first):
    return first_turn() + [
        {"role": "assistant", "content": first.choices[0].message.content},
        {"role": "user", "content": "And of France?"}]


def test_a_conversation_goes_on_after_an_orderly_restart(node):
    first, cold = ask(node, first_turn())
    node.stop()
    assert len(files(node, ".record")) == 1
    for path in files(node):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
    node.start()
    second, _ = ask(node, second_turn(first))
    assert cached(second) >= first.usage.prompt_tokens * 0.9
    node.wait_until_idle()
    # The same turn computed whole says the same, and takes longer.
    whole, _ = ask(node, second_turn(first), cache_prompt=False)
    assert cached(whole) == 0
    assert whole.choices[0].message.content == second.choices[0].message.content


def test_what_is_idle_is_written_and_survives_a_kill(node):
    first, _ = ask(node, first_turn())
    wait_until(lambda: files(node, ".record"), 20, "the first record")
    node.stop_and_start_again()
    second, _ = ask(node, second_turn(first))
    assert cached(second) >= first.usage.prompt_tokens * 0.9


def test_damage_costs_the_prefix_and_nothing_else(node):
    first, _ = ask(node, first_turn())
    node.stop()
    for path in files(node, ".part"):
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        path.write_bytes(data)
    node.start()
    second, _ = ask(node, second_turn(first))
    assert cached(second) == 0
    node.wait_until_idle()
    assert node.runners()


def test_they_can_be_deleted(node):
    ask(node, first_turn())
    node.stop()
    assert files(node)
    environment = dict(os.environ, XDG_CACHE_HOME=str(node.folder / "cache"))
    run = subprocess.run([BINARY, "prefixes", "delete"], env=environment, capture_output=True, text=True, check=True)
    assert run.stdout.startswith("deleted "), run.stdout
    assert not files(node)


def test_nothing_is_on_disk_unasked(own_node):
    node = own_node("--alone")
    ask(node, first_turn())
    node.stop()
    assert not (node.folder / "cache" / "skein" / "prefixes").exists()
