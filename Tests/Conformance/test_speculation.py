"""Guessed tokens: whose answers are guessed, and what /metrics tells of it."""

from conftest import client_of
from node import MODEL_NAME

ROUND = "one two three four one two three four " * 8


def answer(client, **fields):
    completion = client.completions.create(
        model=MODEL_NAME, prompt=ROUND, max_tokens=200, temperature=0, extra_body={"ignore_eos": True}, **fields)
    assert completion.usage.completion_tokens == 200
    return completion.choices[0].text


def test_what_repeats_is_guessed_unless_there_is_a_seed(own_node):
    node = own_node("--threads", 1)
    client = client_of(node)
    seeded = answer(client, seed=3)
    assert node.metric("skein_speculation_drafted_total") == 0
    answer(client)
    drafted, accepted = (node.metric(f"skein_speculation_{what}_total") for what in ["drafted", "accepted"])
    assert 0 < accepted <= drafted
    assert answer(client, seed=3) == seeded
    assert node.metric("skein_speculation_drafted_total") == drafted


def test_guessing_can_be_switched_off_and_on_for_all(own_node):
    off = own_node("--threads", 1, "--speculation", "off")
    answer(client_of(off))
    assert off.metric("skein_speculation_drafted_total") == 0
    everybody = own_node("--threads", 1, "--speculation", "ngram", "--stages", 2)
    answer(client_of(everybody), seed=3)
    assert everybody.metric("skein_speculation_accepted_total") > 0
