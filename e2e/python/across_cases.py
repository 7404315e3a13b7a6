"""OpenAI's official Python SDK, unmodified, through the gateway to a vendor that speaks Anthropic's format."""

import json
from typing import Literal

import openai
import pydantic

from harness import API_KEY, CHAT, PATH, SPEAKS, case, client, last_call, raises, run, until, user, vendor_calls
from props import PNG, TOOLS


class Report(pydantic.BaseModel):
    title: str
    mood: Literal["good", "bad"]
    days: list[int]


def ask(text="hi", **options):
    key = options.pop("api_key", API_KEY)
    return client(api_key=key).chat.completions.create(**{"model": CHAT, "messages": user(text)} | options)


@case()
def models():
    assert CHAT in [m.id for m in client().models.list()]


@case()
def sync():
    reply = ask(messages=[{"role": "system", "content": "Be brief."}, *user("hello [[tokens=30]]")])
    assert reply.object == "chat.completion" and reply.choices[0].finish_reason == "stop", reply
    assert reply.choices[0].message.content.startswith("the mock vendor says"), reply
    usage = reply.usage
    assert usage.completion_tokens == 30 and usage.prompt_tokens == last_call()["prompt"], usage
    assert usage.total_tokens == usage.prompt_tokens + 30, usage


@case()
def usage_of_the_cache():
    marked = {"type": "text", "text": "x" * 800, "cache_control": {"type": "ephemeral"}}
    content = [marked, {"type": "text", "text": "[[tokens=5 cached=64 written=32]]"}]
    messages = [{"role": "user", "content": content}]
    usage = ask(messages=messages).usage
    assert usage.prompt_tokens == last_call()["prompt"] and last_call()["marks"] == 1, (usage, last_call())
    assert usage.prompt_tokens_details.cached_tokens == 64 and usage.completion_tokens == 5, usage


@case()
def stream():
    whole = ask("tell me [[tokens=40]]").choices[0].message.content
    chunks = list(ask("tell me [[tokens=40]]", stream=True))
    assert all(c.choices and c.usage is None for c in chunks), "usage came without being asked for"
    assert len({c.id for c in chunks}) == 1 and chunks[0].choices[0].delta.role == "assistant"
    assert "".join(c.choices[0].delta.content or "" for c in chunks) == whole
    assert chunks[-1].choices[0].finish_reason == "stop"
    chunks = list(ask("[[tokens=4]]", stream=True, stream_options={"include_usage": True}))
    assert chunks[-1].choices == [] and chunks[-1].usage.completion_tokens == 4, chunks[-1]


@case()
def unicode_in_small_pieces():
    chunks = ask("write [[tokens=64 unicode=1 bytes=3]]", stream=True)
    words = "".join(c.choices[0].delta.content or "" for c in chunks)
    assert words.startswith("naïve 数据 🦀 ") and len(words.split("数据")) == 9, words


@case()
def tools_streamed_and_answered():
    messages = user("weather? ask in parallel [[tools=2]]")
    whole = ask(messages=messages, tools=TOOLS, tool_choice="required")
    assert whole.choices[0].finish_reason == "tool_calls", whole
    with client().chat.completions.stream(model=CHAT, messages=messages, tools=TOOLS) as events:
        for _ in events:
            pass
        message = events.get_final_completion().choices[0].message
    for calls in (whole.choices[0].message.tool_calls, message.tool_calls):
        assert [c.function.name for c in calls] == ["get_weather", "get_forecast"], calls
        assert all(json.loads(c.function.arguments) == {"city": "mock text", "days": 7} for c in calls), calls
    turn = {
        "role": "assistant",
        "tool_calls": [
            {"id": c.id, "type": "function", "function": {"name": c.function.name, "arguments": c.function.arguments}}
            for c in message.tool_calls
        ],
    }
    results = [{"role": "tool", "tool_call_id": c.id, "content": "sunny"} for c in message.tool_calls]
    reply = ask(messages=[*messages, turn, *results], tools=TOOLS)
    assert reply.choices[0].finish_reason == "stop" and reply.choices[0].message.content, reply


@case()
def no_parallel_tool_calls():
    reply = ask("weather? [[tools=2]]", tools=TOOLS, parallel_tool_calls=False)
    assert len(reply.choices[0].message.tool_calls) == 1, reply


@case()
def structured_output():
    reply = client().chat.completions.parse(model=CHAT, messages=user("report"), response_format=Report)
    report = reply.choices[0].message.parsed
    assert isinstance(report, Report) and report.mood in ("good", "bad"), reply
    with client().chat.completions.stream(model=CHAT, messages=user("report"), response_format=Report) as events:
        report = events.get_final_completion().choices[0].message.parsed
    assert isinstance(report, Report) and report.days == [7], report


@case()
def images():
    content = [
        {"type": "text", "text": "what is this? [[echo=images]]"},
        {"type": "image_url", "image_url": {"url": "https://example.invalid/cat.png"}},
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}},
    ]
    text = ask(messages=[{"role": "user", "content": content}]).choices[0].message.content
    assert text == "images url=1 base64=1 documents=0", text


def thought_of(chunks):
    """A turn put together from a stream: text, and the blocks of thinking that are sent back."""
    text, blocks, told = "", [], ""
    for chunk in chunks:
        delta = chunk.choices[0].delta
        text += delta.content or ""
        blocks += (delta.model_extra or {}).get("thinking_blocks") or []
        told += (delta.model_extra or {}).get("reasoning_content") or ""
    assert told, "no reasoning_content was streamed"
    return {"role": "assistant", "content": text, "thinking_blocks": blocks}


@case()
def thinking_over_three_turns():
    options = {"extra_body": {"thinking": {"type": "enabled", "budget_tokens": 1024}}, "max_completion_tokens": 4000}
    messages = user("first [[thinking=9 redacted=1 tools=1]]")
    first = ask(messages=messages, tools=TOOLS, **options).choices[0].message
    assert first.model_extra["reasoning_content"].startswith("I wonder"), first
    messages.append(first.model_dump(exclude_none=True))
    messages.append({"role": "tool", "tool_call_id": first.tool_calls[0].id, "content": "fine"})
    second = thought_of(ask(messages=messages, tools=TOOLS, stream=True, **options))
    # The mock refuses a thought that is not signed by itself, word for word.
    assert last_call()["thoughts"] == 2, last_call()
    messages += [second, *user("third [[thinking=9 tag=py-across]]")]
    third = ask(messages=messages, tools=TOOLS, **options)
    assert third.usage.completion_tokens == 21 and third.choices[0].message.content, third
    assert vendor_calls("py-across")[0]["thoughts"] == 4, vendor_calls("py-across")


@case()
def output_cap():
    for cap in ("max_tokens", "max_completion_tokens"):
        reply = ask("go on [[tokens=50]]", **{cap: 5})
        assert reply.choices[0].finish_reason == "length" and reply.usage.completion_tokens == 5, (cap, reply)


@case()
def refusals_are_filters():
    assert ask("[[finish=refusal]]").choices[0].finish_reason == "content_filter"


@case()
def what_cannot_be_carried_is_said():
    raw = client().chat.completions.with_raw_response.create(model=CHAT, messages=user("hi"), seed=7)
    assert "seed" in raw.headers["x-smartflow-dropped"], raw.headers
    reject = {"x-smartflow-unsupported": "Reject"}
    error = raises(openai.BadRequestError, lambda: ask(seed=7, extra_headers=reject))
    assert "seed" in str(error), error


@case()
def cancellation():
    stream = ask("[[tokens=2000 delay_ms=10 tag=py-across-cancel]]", stream=True)
    for _, _chunk in zip(range(5), stream):
        pass
    stream.close()
    left = lambda: [c for c in vendor_calls("py-across-cancel") if c["end"] == "left"]  # noqa: E731
    (call,) = until("the vendor to be left", 1, left)
    assert call["served"] < 300, call


@case()
def typed_errors():
    unknown = raises(openai.AuthenticationError, lambda: ask(api_key="sk-sf-" + "0" * 48))
    assert unknown.code == "invalid_api_key", unknown
    assert raises(openai.NotFoundError, lambda: ask(model="no-such-model")).code == "model_not_found"
    for fault in ("status:429 retry_after=1", "status:401", "status:500", "status:529"):
        error = raises(openai.InternalServerError, lambda: ask(f"[[fault={fault}]]"))
        assert error.status_code in (502, 503) and error.type == "upstream_error", (fault, error)
        assert "sk-ant" not in str(error), error


@case()
def errors_in_the_stream():
    for fault in ("error:5", "cut:5", "reset:5"):
        texts = []

        def read():
            for chunk in ask(f"[[tokens=20 fault={fault}]]", stream=True):
                texts.append(chunk.choices[0].delta.content or "")

        raises(openai.APIError, read)
        assert len([t for t in texts if t]) <= 5, (fault, texts)


if __name__ == "__main__":
    assert (PATH, SPEAKS) == ("gateway", "anthropic")
    run()
