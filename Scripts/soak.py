"""The work of soak.sh; it needs nothing but Python's own library."""

import argparse
import collections
import json
import random
import re
import socket
import sys
import tempfile
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "Tests" / "Conformance"))

from node import MODEL_NAME, Node  # noqa: E402
from questions import ADD_TOOL, CAPITAL, GOLDEN, PERSON, STORY, WEATHER, WEATHER_TOOL, endless, request  # noqa: E402
from sse import RawConnection, events  # noqa: E402

#: Clients at once; a burst has twice as many.
WORKERS = 12
#: Seconds without a byte after which a request counts as hung.
HANG_SECONDS = 90
#: Growth of the memory between the first quarter and the end that is still flat.
FLAT = 1.10
#: Growth that is flat whatever its share. **Units:** KiB.
FLAT_KIBIBYTES = 16 << 10

CHAT, MESSAGES, GENERATE = "/v1/chat/completions", "/v1/messages", "/api/generate"


class Expectation(Exception):
    """An answer that is neither right nor an honest refusal."""


def complete(node, body, path=CHAT, statuses=(200,)):
    """Sends a request and reads its answer to the end."""
    with RawConnection(node, HANG_SECONDS) as connection:
        status, headers, answer = connection.send("POST", path, body).answer()
    if status in (429, 503) and int(headers.get("retry-after", 0)) >= 1:
        return "refused for load"
    if status not in statuses:
        raise Expectation(f"{status}: {answer[:200]!r}")
    if status == 200 and headers["content-type"].startswith("text/event-stream"):
        stream = events(answer)
        if stream[-1].is_error:
            raise Expectation(stream[-1].text)
        if stream[-1].text != "[DONE]":
            raise Expectation("a stream without its end")
        return "stream"
    value = json.loads(answer)
    if status != 200 and "error" not in value:
        raise Expectation(f"no error in {answer[:200]!r}")
    return value


def short(node, draw):
    question = draw.choice(list(GOLDEN))
    answer = complete(node, request(question, stream=draw.random() < 0.5))
    if isinstance(answer, dict) and answer["choices"][0]["message"]["content"] != GOLDEN[question]:
        raise Expectation(f"{question}: {answer['choices'][0]['message']['content']!r}")


def story(node, draw):
    complete(node, request(
        STORY, stream=True, temperature=1, seed=draw.choice([None, draw.randrange(1 << 30)]),
        max_tokens=draw.randrange(1, 150), n=draw.choice([1, 1, 2]), logprobs=draw.choice([None, True])))


def tools(node, draw):
    messages = [{"role": "user", "content": WEATHER}]
    for _ in range(draw.randrange(1, 4)):
        answer = complete(node, request(messages, tools=[WEATHER_TOOL, ADD_TOOL], max_tokens=96))
        if not isinstance(answer, dict):
            return
        message = answer["choices"][0]["message"]
        if not message.get("tool_calls"):
            return
        messages.append({"role": "assistant", "content": None, "tool_calls": message["tool_calls"]})
        for call in message["tool_calls"]:
            messages.append({"role": "tool", "tool_call_id": call["id"], "content": "18 degrees"})


def schema(node, draw):
    shape = {
        "type": "object", "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
        "required": ["name", "age"], "additionalProperties": False}
    answer = complete(node, request(
        PERSON, max_tokens=120,
        response_format={"type": "json_schema", "json_schema": {"name": "person", "schema": shape}}))
    if isinstance(answer, dict) and answer["choices"][0]["finish_reason"] == "stop":
        value = json.loads(answer["choices"][0]["message"]["content"])
        if set(value) != {"name", "age"}:
            raise Expectation(f"the schema was not kept: {value}")


def conversation(node, draw):
    messages = [{"role": "system", "content": "Remember that Ada likes geese. " * draw.randrange(2, 20)}]
    for question in draw.sample(list(GOLDEN), 3):
        messages.append({"role": "user", "content": question})
        answer = complete(node, request(messages, max_tokens=24))
        if not isinstance(answer, dict):
            return
        messages.append({"role": "assistant", "content": answer["choices"][0]["message"]["content"]})


def dialects(node, draw):
    if draw.random() < 0.5:
        complete(node, {
            "model": MODEL_NAME, "max_tokens": 24, "messages": [{"role": "user", "content": CAPITAL}]}, MESSAGES)
    else:
        complete(node, {
            "model": MODEL_NAME, "prompt": CAPITAL, "stream": False, "options": {"num_predict": 24}}, GENERATE)


def disconnect(node, draw):
    """Goes away somewhere: before the answer, in the middle, with a reset, half closed."""
    with RawConnection(node, HANG_SECONDS) as connection:
        connection.send("POST", CHAT, endless() | {"max_tokens": 1500, "stream": draw.random() < 0.8})
        if draw.random() < 0.6:
            connection.socket.settimeout(draw.random() * 0.5)
            try:
                for _ in range(draw.randrange(1, 30)):
                    connection.fill()
            except (TimeoutError, ConnectionError):
                pass
        if draw.random() < 0.3:
            connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
        elif draw.random() < 0.3:
            connection.socket.shutdown(socket.SHUT_WR)


def torn(node, draw):
    """Leaves in the middle of the request."""
    body = json.dumps(request(STORY)).encode()
    with RawConnection(node, HANG_SECONDS) as connection:
        connection.socket.sendall(
            f"POST {CHAT} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n".encode() + body[: draw.randrange(len(body))])


def overlong(node, draw):
    complete(node, request("word " * draw.randrange(2500, 40_000)), statuses=(400,))


def bad(node, draw):
    complete(node, draw.choice([
        b"{" * 100, b"", request(CAPITAL, temperature="hot"), request(CAPITAL, n=1_000_000),
        request(CAPITAL, grammar="root ::= ("), request(CAPITAL, stop=["x"] * 1000),
        {"model": "nope", "messages": [{"role": "user", "content": "x"}]},
    ]), statuses=(400, 404))


KINDS = [(short, 30), (story, 16), (tools, 10), (schema, 8), (conversation, 6), (dialects, 6), (disconnect, 12),
         (torn, 3), (overlong, 3), (bad, 6)]


class Soak:
    def __init__(self, node, stages, requests, deadline, seed):
        self.stages = stages
        self.node, self.total, self.deadline, self.seed = node, requests, deadline, seed
        self.lock = threading.Lock()
        self.begun = 0
        self.done = collections.Counter()
        self.findings = []
        self.memory = []

    def worker(self, number):
        while True:
            with self.lock:
                if self.begun >= self.total or time.monotonic() > self.deadline:
                    return
                index = self.begun
                self.begun += 1
            draw = random.Random(f"{self.seed}/{index}")
            # Calm and bursts by turns: in the calm most workers rest.
            if index // 200 % 2 and number >= WORKERS // 2:
                time.sleep(draw.random() * 0.2)
            kind = draw.choices([kind for kind, _ in KINDS], [weight for _, weight in KINDS])[0]
            began = time.monotonic()
            try:
                kind(self.node, draw)
                outcome = "well"
            except TimeoutError:
                outcome = "hung"
            except (Expectation, OSError, ValueError, KeyError, AssertionError) as error:
                outcome = "wrong"
                reason = f"{type(error).__name__}: {error}"
            with self.lock:
                self.done[kind.__name__, outcome] += 1
                if outcome != "well" and len(self.findings) < 50:
                    detail = reason if outcome == "wrong" else f"no byte for {time.monotonic() - began:.0f} s"
                    self.findings.append(f"request {index} ({kind.__name__}): {detail}")

    def run(self):
        self.measure("start")
        threads = [threading.Thread(target=self.worker, args=(number,), daemon=True) for number in range(2 * WORKERS)]
        for thread in threads:
            thread.start()
        marks = [("quarter", 0.25), ("half", 0.5), ("three quarters", 0.75)]
        while any(thread.is_alive() for thread in threads):
            time.sleep(0.05)
            if marks and self.begun >= marks[0][1] * self.total:
                self.measure(marks.pop(0)[0])
            if time.monotonic() > self.deadline + 2 * HANG_SECONDS:
                self.findings.append("clients still wait after the end")
                break
        try:
            self.node.wait_until_idle(60)
        except AssertionError as failure:
            self.findings.append(f"not idle at the end: {failure}")
        self.measure("end")
        for name in ("skein_lanes_in_use", "skein_cells_in_use", "skein_requests_active", "skein_requests_queued"):
            if self.node.metric(name) != 0:
                self.findings.append(f"{name} is {self.node.metric(name)} at the end")
        if self.node.metric("skein_placement_restarts_total") != 0:
            self.findings.append("a stage was started again")

    def measure(self, name):
        pids = [self.node.process.pid, *self.node.runners()]
        if len(pids) != 1 + self.stages:
            self.findings.append(f"{name}: {len(pids) - 1} of {self.stages} runners found")
        self.memory.append((name, [resident(pid) for pid in pids]))

    def report(self, seconds):
        print(f"{self.begun} requests in {seconds:.0f} s, seed {self.seed}")
        for kind, _ in KINDS:
            counts = {what: n for (name, what), n in sorted(self.done.items()) if name == kind.__name__}
            print(f"  {kind.__name__:13}" + "  ".join(f"{n} {what}" for what, n in counts.items()))
        print("resident memory in MiB: node, then each stage")
        for name, sizes in self.memory:
            print(f"  {name:15}" + "".join(f"{size / 1024:9.1f}" for size in sizes))
        first = next((sizes for name, sizes in self.memory if name == "quarter"), self.memory[0][1])
        last = self.memory[-1][1]
        for place, (before, after) in enumerate(zip(first, last)):
            if after > before * FLAT and after - before > FLAT_KIBIBYTES:
                self.findings.append(
                    f"process {place} grew from {before >> 10} to {after >> 10} MiB behind the first quarter")
        hung = sum(n for (_, what), n in self.done.items() if what == "hung")
        print(f"hangs: {hung}; findings: {len(self.findings)}")
        for finding in self.findings:
            print(f"  {finding}")
        if self.begun < self.total:
            print(f"the time was up after {self.begun} of {self.total} requests")
        return 1 if self.findings else 0


def resident(pid):
    """KiB of a process; Linux only, 0 elsewhere."""
    try:
        return int(re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text()).group(1))
    except (OSError, AttributeError):
        return 0


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--minutes", type=float, default=60, help="nothing new begins after this time")
    parser.add_argument("--stages", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="skein-soak-") as folder:
        node = Node(folder, "--stages", options.stages, "--threads", 1, "--alone")
        began = time.monotonic()
        try:
            node.start()
            soak = Soak(node, options.stages, options.requests, began + 60 * options.minutes, options.seed)
            soak.run()
            code = soak.report(time.monotonic() - began)
            node.stop()
        finally:
            node.destroy()
    return code


if __name__ == "__main__":
    sys.exit(main())
