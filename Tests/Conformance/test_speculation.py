"""Guessed tokens: whose answers are guessed, by what, and what /metrics tells of it."""

import subprocess
from pathlib import Path

import pytest

from conftest import ask, client_of, some_start_guesses
from node import BINARY, MODEL_NAME

ROUND = "one two three four one two three four " * 8
MODELS = Path(__file__).resolve().parents[2] / "Models"
DRAFT = MODELS / "skein-tiny-draft-q8_0.gguf"
#: Computes what the built-in model computes, and has a head for several tokens behind its layers.
HEADS = MODELS / "skein-tiny-mtp-q8_0.gguf"
QUESTIONS = [
    "Count from 3 to 12.", "Say hello in three languages.", "Write a function that adds two numbers.",
    "Give me a list of five animals.", "Tell me something about yourself, please.",
]


def answer(client, **fields):
    completion = client.completions.create(
        model=MODEL_NAME, prompt=ROUND, max_tokens=200, temperature=0, extra_body={"ignore_eos": True}, **fields)
    assert completion.usage.completion_tokens == 200
    return completion.choices[0].text


def test_what_repeats_is_guessed_unless_there_is_a_seed(own_node):
    def guesses(_):
        node = own_node("--threads", 1)
        client = client_of(node)
        seeded = answer(client, seed=3)
        assert node.metric("skein_speculation_drafted_total") == 0
        answer(client)
        drafted, accepted = (node.metric(f"skein_speculation_{what}_total") for what in ["drafted", "accepted"])
        assert accepted <= drafted
        assert answer(client, seed=3) == seeded
        assert node.metric("skein_speculation_drafted_total") == drafted
        return accepted > 0

    assert some_start_guesses(guesses)


def test_guessing_can_be_switched_off_and_on_for_all(own_node):
    off = own_node("--threads", 1, "--draft", "off")
    answer(client_of(off))
    assert off.metric("skein_speculation_drafted_total") == 0

    def guesses(_):
        everybody = own_node("--threads", 1, "--draft", "ngram", "--stages", 2)
        answer(client_of(everybody), seed=3)
        assert everybody.metric("skein_speculation_draft_drafted_total") == 0
        return everybody.metric("skein_speculation_ngram_accepted_total") > 0

    assert some_start_guesses(guesses)


def assert_same_logprobs(found, expected):
    """Each token with those of its own row. Processors may round the rows of a window otherwise than single ones."""
    assert expected and [entry.token for entry in found] == [entry.token for entry in expected]
    for one, other in zip(found, expected):
        assert len(one.top_logprobs) == len(other.top_logprobs) == 2
        for candidate, same in zip([one, *one.top_logprobs], [other, *other.top_logprobs]):
            assert candidate.logprob == pytest.approx(same.logprob, abs=1e-3), (candidate, same)


def assert_same_answers(node, plain):
    """Greedy, and drawn with a seed."""
    client, other = client_of(node), client_of(plain)
    for question in QUESTIONS:
        for fields in [{"temperature": 0}, {"temperature": 0.8, "seed": 11}]:
            fields |= {"max_tokens": 60, "logprobs": True, "top_logprobs": 2}
            expected, found = ask(other, question, **fields), ask(client, question, **fields)
            assert found.choices[0].message.content == expected.choices[0].message.content
            assert_same_logprobs(found.choices[0].logprobs.content, expected.choices[0].logprobs.content)
            assert found.usage.completion_tokens == expected.usage.completion_tokens


def test_a_draft_model_guesses_for_a_model_cut_in_two(own_node, served):
    def guesses(_):
        node = own_node("--threads", 1, "--stages", 2, "--kept-prefixes", 0, "--draft", DRAFT)
        assert_same_answers(node, served(2))
        drafted, accepted = (node.metric(f"skein_speculation_draft_{what}_total") for what in ["drafted", "accepted"])
        # The model is one that its draft was trained beside: about two of three guesses are right.
        assert drafted <= 20 or accepted > drafted / 3
        return drafted > 20

    assert some_start_guesses(guesses)


def test_several_choices_are_guessed_at_once(own_node, served):
    node = own_node("--threads", 1, "--stages", 2, "--kept-prefixes", 0, "--draft", DRAFT)
    fields = {"n": 3, "temperature": 0.7, "seed": 5, "max_tokens": 40}
    expected = ask(client_of(served(2)), QUESTIONS[1], **fields)
    found = ask(client_of(node), QUESTIONS[1], **fields)
    assert [choice.message.content for choice in found.choices] == [
        choice.message.content for choice in expected.choices]


def with_heads(own_node, stages):
    return own_node(
        HEADS, "--name", MODEL_NAME, "--threads", 1, "--stages", stages, "--kept-prefixes", 0, "--draft", "mtp")


@pytest.mark.parametrize("stages", [1, 2, 3])
def test_a_models_own_heads_change_no_answer(own_node, served, stages):
    node = with_heads(own_node, stages)
    assert_same_answers(node, served(stages))
    # Whether guesses are worth their time is up to what this machine measured, so there need not be any.
    drafted, accepted = (node.metric(f"skein_speculation_mtp_{what}_total") for what in ["drafted", "accepted"])
    assert 0 <= accepted <= drafted <= node.metric("skein_speculation_drafted_total")
    assert node.metric("skein_speculation_draft_drafted_total") == 0


def test_several_choices_with_a_models_own_heads_are_those_without(own_node, served):
    fields = {"n": 3, "temperature": 0.7, "seed": 5, "max_tokens": 40}
    expected = ask(client_of(served(2)), QUESTIONS[1], **fields)
    found = ask(client_of(with_heads(own_node, 2)), QUESTIONS[1], **fields)
    assert [choice.message.content for choice in found.choices] == [
        choice.message.content for choice in expected.choices]


def test_a_model_with_heads_answers_the_same_when_they_are_not_asked(own_node, served):
    node = own_node(HEADS, "--name", MODEL_NAME, "--threads", 1, "--kept-prefixes", 0, "--draft", "off")
    assert_same_answers(node, served(1))
    assert node.metric("skein_speculation_drafted_total") == 0


def refusal(*arguments):
    ended = subprocess.run(
        [BINARY, "serve", "--alone", "--listen", "127.0.0.1:0", *map(str, arguments)], capture_output=True, text=True,
        timeout=60, check=False)
    assert ended.returncode != 0
    return ended.stderr


@pytest.mark.parametrize("value, reason", [
    ("mtp", "no head for several tokens"), ("nothing-of-that-name", "takes auto, ngram, mtp, off"),
    (MODELS / "README.md", "cannot be used"),
])
def test_what_cannot_guess_is_refused_with_the_reason(value, reason):
    assert reason in refusal("--draft", value)


@pytest.mark.parametrize("stages", [1, 2])
def test_a_model_without_heads_is_refused_with_the_next_step(stages):
    sentence = refusal("--draft", "mtp", "--stages", stages)
    assert "--draft mtp is not possible" in sentence
    assert "Use auto, ngram, off or a draft model." in sentence
