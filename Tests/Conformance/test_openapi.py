"""The API's document: valid, complete, and what the server does."""

import json
import urllib.request

import hypothesis
import pytest
import schemathesis
from openapi_spec_validator import OpenAPIV31SpecValidator
from schemathesis.specs.openapi.checks import (
    content_type_conformance, response_schema_conformance, status_code_conformance)

from node import MODEL_NAME

#: Examples per operation; the whole run takes well under two minutes.
EXAMPLES = 15
SEED = 20_240_722


@pytest.fixture(scope="module")
def document(served):
    status, body = served(1).get("/openapi.json")
    assert status == 200
    return json.loads(body)


def test_it_is_valid_openapi_3_1(document):
    assert document["openapi"] == "3.1.0"
    OpenAPIV31SpecValidator(document).validate()


def test_every_operation_has_its_own_name_and_its_errors(document):
    operations = [operation for path in document["paths"].values() for operation in path.values()]
    names = [operation["operationId"] for operation in operations]
    assert len(set(names)) == len(names)
    for operation in operations:
        assert {"431", "500", "503"} <= set(operation["responses"])


def test_examples_are_answered_as_documented(served, document):
    """Every example of a request body is taken by the server and gets a documented status."""
    node = served(1)
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            content = operation.get("requestBody", {}).get("content", {}).get("application/json")
            if content is None:
                continue
            asked = urllib.request.Request(
                node.url + path, json.dumps(content["example"]).encode(), {"Content-Type": "application/json"},
                method=method.upper())
            with urllib.request.urlopen(asked, timeout=60) as answer:
                assert str(answer.status) in operation["responses"]
                types = operation["responses"][str(answer.status)]["content"]
                assert answer.headers.get_content_type() in types or not types and not answer.read()
    remove_models(node)


def remove_models(node):
    """Takes away what examples and generated requests made: other tests count models."""
    with urllib.request.urlopen(node.url + "/api/tags", timeout=10) as answer:
        made = [model["name"] for model in json.load(answer)["models"] if model["details"]["parent_model"]]
    for name in made:
        asked = urllib.request.Request(
            node.url + "/api/delete", json.dumps({"model": name}).encode(), method="DELETE")
        with urllib.request.urlopen(asked, timeout=10) as answer:
            assert answer.status == 200


def test_the_page_for_people_loads_nothing(served):
    node = served(1)
    with urllib.request.urlopen(node.url + "/docs", timeout=10) as answer:
        page = answer.read().decode()
        assert answer.headers.get_content_type() == "text/html"
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert "<script" not in page and "http://" not in page and "https://" not in page


def does_not_fail(context, response, case):
    """What the server says it does not have (501) is no failure; that the document names it is checked beside this."""
    assert response.status_code < 500 or response.status_code == 501, response.text


def test_whatever_is_sent_is_answered_as_documented(served, document):
    """Requests made from the document: no failure of the server, no status and no body that is not in it."""
    node = served(1)
    schema = schemathesis.openapi.from_dict(bounded(document))
    checks = [does_not_fail, status_code_conformance, content_type_conformance, response_schema_conformance]
    seen = 0
    for result in schema.get_all_operations():
        operation = result.ok()

        @hypothesis.seed(SEED)
        @hypothesis.settings(
            max_examples=EXAMPLES, deadline=None, database=None, derandomize=False,
            suppress_health_check=list(hypothesis.HealthCheck), phases=[hypothesis.Phase.generate])
        @hypothesis.given(case=operation.as_strategy())
        def check(case):
            nonlocal seen
            seen += 1
            case.call_and_validate(base_url=node.url, checks=checks, timeout=30)

        check()
    assert seen >= EXAMPLES
    node.wait_until_idle()
    remove_models(node)


def bounded(document):
    """The document with the served model, short answers and no feature the server says it does not have: what is asked
    of the generator is a request, not a load test."""
    document = json.loads(json.dumps(document))
    for methods in document["paths"].values():
        # An answer to it has the type of a body and no body.
        methods.pop("head", None)
        for operation in methods.values():
            content = operation.get("requestBody", {}).get("content", {}).get("application/json")
            if content is None:
                continue
            properties = content["schema"]["properties"]
            for name in ("model", "name"):
                if name in properties:
                    properties[name] = {"const": MODEL_NAME}
            for name in ("max_tokens", "max_completion_tokens", "max_output_tokens", "n_predict", "num_predict"):
                if name in properties:
                    properties[name] = {"const": 4}
                    if name in ("max_tokens", "max_output_tokens"):
                        content["schema"].setdefault("required", []).append(name)
            if "options" in properties:
                properties["options"] = {
                    "type": "object", "properties": {"num_predict": {"const": 4}}, "required": ["num_predict"]}
                content["schema"].setdefault("required", []).append("options")
            # Models stay in memory: asking for the opposite is refused as not implemented.
            for name in ("keep_alive", "background"):
                properties.pop(name, None)
            if "n" in properties:
                properties["n"] = {"const": 1}
            content["schema"]["required"] = sorted(set(content["schema"].get("required", [])))
    return document
