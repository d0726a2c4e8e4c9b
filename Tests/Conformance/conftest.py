"""Fixtures: nodes that live as long as the run, one per number of stages, and nodes of a test's own."""

import tempfile

import openai
import pytest
from hypothesis.configuration import set_hypothesis_home_dir

from node import BINARY, MODEL_NAME, Node
from questions import conversation

#: Seconds an answer may take; the machine may be busy compiling.
ANSWER_SECONDS = 30


def pytest_configure(config):
    """What hypothesis keeps between runs is not wanted in the folder the run was started in, nor anywhere else."""
    storage = tempfile.TemporaryDirectory(prefix="skein-hypothesis-")
    set_hypothesis_home_dir(storage.name)
    config.add_cleanup(storage.cleanup)


def pytest_sessionstart(session):
    if not BINARY.is_file():
        pytest.exit(f"there is no binary at {BINARY}; build it or name one with SKEIN_BIN", returncode=2)


@pytest.fixture(scope="session")
def served(tmp_path_factory):
    """Makes or finds the run's node with so many stages; all of them are stopped at the end, each within its time."""
    nodes = {}

    def of(stages):
        if stages not in nodes:
            # One thread: more of them wait for each other by spinning, which a busy machine punishes.
            node = Node(tmp_path_factory.mktemp(f"stages{stages}"), "--stages", stages, "--threads", 1,
                "--kept-prefixes", 0, "--draft", "off")
            nodes[stages] = node.launch()
            node.wait_for_port().wait_until_ready()
        return nodes[stages]

    yield of
    failures = []
    for stages, node in nodes.items():
        try:
            node.stop()
        except AssertionError as failure:
            node.destroy()
            failures.append(f"{stages} stages: {failure}")
    assert not failures, failures


@pytest.fixture(scope="session", params=[1, 2, 3], ids=lambda stages: f"{stages}-stages")
def server(request, served):
    """A running node whose model is cut into 1, 2 and 3 stages."""
    return served(request.param)


@pytest.fixture
def client(server):
    return client_of(server)


@pytest.fixture
def own_node(tmp_path):
    """Starts nodes that a test may break; what is left of them is removed."""
    nodes = []

    def start(*arguments):
        node = Node(tmp_path / f"node{len(nodes)}", *arguments)
        nodes.append(node)
        return node.start()

    yield start
    for node in nodes:
        node.destroy()


def some_start_guesses(guesses, starts=3):
    """Whether `guesses`, called with the number of a start, is true of one of them. What is loaded times its steps, and
    on a busy machine they may come out so long that guessing does not pay; the next start times them again."""
    return any(guesses(start) for start in range(starts))


def client_of(node, strict=True):
    """The vendor's SDK against a node; when strict, it refuses every answer that its own types do not allow."""
    return openai.OpenAI(
        base_url=f"{node.url}/v1", api_key="none", max_retries=0, timeout=ANSWER_SECONDS,
        _strict_response_validation=strict)


def ask(client, question, **fields):
    """A greedy chat completion by the SDK."""
    fields.setdefault("temperature", 0)
    fields.setdefault("model", MODEL_NAME)
    return client.chat.completions.create(messages=conversation(question), **fields)


def text_of(client, question, **fields):
    return ask(client, question, **fields).choices[0].message.content
