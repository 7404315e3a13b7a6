"""Errors as the Python SDK types them."""

import httpx2
import openai

from harness import API_KEY, CHAT, PATH, SPENT_KEY, VENDOR, case, client, raises, user, vendor_calls


def ask(text="hi", **options):
    key = options.pop("api_key", API_KEY)
    return client(api_key=key).chat.completions.create(**{"model": CHAT, "messages": user(text)} | options)


@case()
def unknown_key():
    error = raises(openai.AuthenticationError, lambda: ask(api_key="sk-sf-" + "0" * 48))
    assert error.status_code == 401 and error.code == "invalid_api_key" and error.type == "invalid_request_error"


@case()
def unknown_model():
    error = raises(openai.NotFoundError, lambda: ask(model="no-such-model"))
    assert error.status_code == 404 and error.code == "model_not_found"


@case()
def wrong_value():
    error = raises(openai.BadRequestError, lambda: ask(messages="not a list"))
    assert error.status_code == 400 and "messages" in str(error)


@case("direct", "gateway")
def unknown_field_reaches_the_vendor():
    error = raises(openai.BadRequestError, lambda: ask(extra_body={"frobnicate": 1}))
    assert "frobnicate" in str(error), error


@case("direct", "gateway")
def vendor_refuses_a_value():
    error = raises(openai.BadRequestError, lambda: ask(temperature="warm"))
    assert error.status_code == 400 and "temperature" in str(error)


@case("direct")
def vendor_rate_limit():
    error = raises(openai.RateLimitError, lambda: ask("[[fault=status:429 retry_after=1 tag=py-429]]"))
    assert error.status_code == 429 and error.response.headers["retry-after"] == "1"


@case("gateway")
def vendor_rate_limit_through_the_gateway():
    error = raises(openai.InternalServerError, lambda: ask("[[fault=status:429 retry_after=1 tag=py-429]]"))
    assert error.status_code in (502, 503) and error.type == "upstream_error", error


@case("gateway")
def vendor_error_through_the_gateway():
    error = raises(openai.InternalServerError, lambda: ask("[[fault=status:500 tag=py-500]]"))
    assert error.status_code == 502 and error.code == "upstream_failed", error


@case("direct", "gateway")
def error_in_the_stream():
    def read():
        for _ in ask("[[tokens=20 fault=error:5]]", stream=True):
            pass

    raises(openai.APIError, read)


@case("gateway")
def cut_in_the_stream():
    # The vendor breaks off; the caller is told by an error event, not by silence.
    texts = []

    def read():
        for chunk in ask("[[tokens=20 fault=cut:5]]", stream=True):
            texts.append(chunk.choices[0].delta.content or "")

    raises(openai.APIError, read)
    assert len([t for t in texts if t]) == 5, texts


@case("gateway", "simulated")
def spent_budget_is_not_hammered():
    seen = []
    hooks = {"response": [lambda response: seen.append(response.status_code)]}
    with httpx2.Client(event_hooks=hooks) as counted:
        stubborn = client(api_key=SPENT_KEY, max_retries=5, http_client=counted)
        error = raises(
            openai.RateLimitError, lambda: stubborn.chat.completions.create(model=CHAT, messages=user("hi"))
        )
    assert error.code == "budget_exceeded" and error.type == "insufficient_quota", error
    assert error.response.headers["x-should-retry"] == "false"
    assert seen == [429], seen


@case("gateway")
def retries_are_the_clients():
    tag = "py-retried"
    stubborn = client(max_retries=1)
    messages = user(f"[[fault=status:500 tag={tag}]]")
    raises(
        openai.InternalServerError, lambda: stubborn.chat.completions.create(model=CHAT, messages=messages)
    )
    assert len(vendor_calls(tag)) >= 2


assert PATH == "simulated" or VENDOR
