"""Errors as Anthropic's Python SDK types them."""

import anthropic
import httpx2

from harness import SPENT_KEY, case, claude, raises, vendor_calls
from harness import ask_claude as ask


def told(error):
    """The type within Anthropic's envelope."""
    assert error.body["type"] == "error" and len(error.body["error"]["message"]) > 4, error.body
    return error.body["error"]["type"]


@case()
def unknown_key():
    wrong = claude(api_key="sk-sf-" + "0" * 48)
    error = raises(anthropic.AuthenticationError, lambda: ask(client=wrong))
    assert error.status_code == 401 and told(error) == "authentication_error", error.body


@case()
def unknown_model():
    error = raises(anthropic.NotFoundError, lambda: ask(model="no-such-model"))
    assert error.status_code == 404 and told(error) == "not_found_error", error.body


@case()
def wrong_value():
    error = raises(anthropic.BadRequestError, lambda: ask(messages="not a list"))
    assert told(error) == "invalid_request_error" and "messages" in str(error), error.body


@case()
def vendor_refuses_a_value():  # newer SDKs have no `temperature`, older callers do
    error = raises(anthropic.BadRequestError, lambda: ask(extra_body={"temperature": "warm"}))
    assert told(error) == "invalid_request_error" and "temperature" in str(error), error.body


@case("direct", "gateway", speaks="anthropic")
def unknown_field_reaches_the_vendor():
    error = raises(anthropic.BadRequestError, lambda: ask(extra_body={"frobnicate": 1}))
    assert "frobnicate" in str(error), error


@case("direct")
def errors_of_the_vendor():
    error = raises(anthropic.RateLimitError, lambda: ask("[[fault=status:429 retry_after=1]]"))
    assert told(error) == "rate_limit_error" and error.response.headers["retry-after"] == "1"
    error = raises(anthropic.InternalServerError, lambda: ask("[[fault=status:500]]"))
    assert told(error) == "api_error", error.body
    error = raises(anthropic.OverloadedError, lambda: ask("[[fault=status:529]]"))
    assert told(error) == "overloaded_error", error.body


@case("gateway")
def errors_of_the_vendor_through_the_gateway():
    # The vendor's 429 and 401 are the gateway's trouble, not the caller's: they must not read as the caller's own.
    for fault in ("status:429 retry_after=1", "status:401", "status:500", "status:529"):
        error = raises(anthropic.InternalServerError, lambda: ask(f"[[fault={fault}]]"), exactly=False)
        expected = (529, "overloaded_error") if "529" in fault else (502, "api_error")
        assert (error.status_code, told(error)) == expected, error.body
        assert "sk-vendor" not in str(error) and "sk-ant" not in str(error), error
        if "429" in fault:
            assert error.response.headers["retry-after"] == "1", error.response.headers


@case()
def error_in_the_stream():
    texts = []

    def read():
        for event in ask("[[tokens=20 fault=error:5]]", stream=True):
            if event.type == "content_block_delta":
                texts.append(event.delta.text)

    error = raises(anthropic.APIStatusError, read)
    assert len(texts) == 5 and told(error) in ("api_error", "overloaded_error"), (texts, error.body)


@case("gateway")
def cut_in_the_stream():
    # The vendor breaks off; the caller is told by an error event, not by silence.
    texts = []

    def read():
        for event in ask("[[tokens=20 fault=cut:5]]", stream=True):
            if event.type == "content_block_delta":
                texts.append(event.delta.text)

    error = raises(anthropic.APIStatusError, read)
    assert len(texts) == 5 and told(error) == "api_error", (texts, error.body)


@case("gateway")
def spent_budget_is_not_hammered():
    seen = []
    hooks = {"response": [lambda response: seen.append(response.status_code)]}
    with httpx2.Client(event_hooks=hooks) as counted:
        stubborn = claude(api_key=SPENT_KEY, max_retries=5, http_client=counted)
        error = raises(anthropic.RateLimitError, lambda: ask(client=stubborn))
    assert told(error) == "rate_limit_error" and "budget" in str(error), error.body
    assert error.response.headers["x-should-retry"] == "false" and seen == [429], seen


@case("gateway")
def retries_are_the_clients():
    stubborn = claude(max_retries=1)
    kind = anthropic.InternalServerError
    raises(kind, lambda: ask("[[fault=status:500 tag=py-claude-retried]]", client=stubborn), exactly=False)
    assert len(vendor_calls("py-claude-retried")) >= 2
