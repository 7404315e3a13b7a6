"""The official Python SDK, unmodified, against the mock vendor, the gateway before it, or the simulated provider."""

import asyncio
import base64
import struct
from typing import Literal

import openai
import pydantic

from harness import API_KEY, BASE_URL, CHAT, EMBED, PATH, VENDOR, case, client, raises, run, until, user, vendor_calls
from props import PNG, TOOLS


class Part(pydantic.BaseModel):
    label: str
    count: int


class Report(pydantic.BaseModel):
    title: str
    mood: Literal["good", "bad"]
    parts: list[Part]


@case()
def models():
    listed = [m.id for m in client().models.list()]
    assert CHAT in listed, listed


@case()
def sync():
    reply = client().chat.completions.create(model=CHAT, messages=user("hello [[tokens=30]]"))
    assert reply.object == "chat.completion" and reply.choices[0].finish_reason == "stop"
    assert reply.choices[0].message.role == "assistant" and reply.choices[0].message.content
    assert reply.usage.total_tokens == reply.usage.prompt_tokens + reply.usage.completion_tokens
    assert reply.usage.completion_tokens > 0
    if VENDOR:
        assert reply.usage.completion_tokens == 30, reply.usage


@case("direct", "gateway")
def usage_details():
    text = "x" * 400 + "[[tokens=5 cached=64]]"
    usage = client().chat.completions.create(model=CHAT, messages=user(text)).usage
    assert usage.prompt_tokens_details.cached_tokens == 64 and usage.completion_tokens == 5, usage


@case()
def stream():
    messages = user("tell me [[tokens=40]]")
    whole = client().chat.completions.create(model=CHAT, messages=messages)
    chunks = list(client().chat.completions.create(model=CHAT, messages=messages, stream=True))
    assert all(c.choices for c in chunks), "a usage chunk came without being asked for"
    assert all(c.usage is None for c in chunks)
    assert len({c.id for c in chunks}) == 1 and chunks[0].choices[0].delta.role == "assistant"
    text = "".join(c.choices[0].delta.content or "" for c in chunks)
    assert text == whole.choices[0].message.content and chunks[-1].choices[0].finish_reason == "stop"


@case()
def stream_usage():
    options = {"include_usage": True}
    chunks = list(
        client().chat.completions.create(model=CHAT, messages=user("hi"), stream=True, stream_options=options)
    )
    assert chunks[-1].choices == [] and chunks[-1].usage.completion_tokens > 0
    assert all(c.usage is None for c in chunks[:-1])


@case()
def stream_helper():
    with client().chat.completions.stream(model=CHAT, messages=user("hi [[tokens=20]]")) as events:
        kinds = {event.type for event in events}
        final = events.get_final_completion()
    assert {"chunk", "content.delta", "content.done"} <= kinds, kinds
    assert final.choices[0].message.content


@case("direct", "gateway")
def unicode_in_small_pieces():
    text = "write [[tokens=64 unicode=1 bytes=3]]"
    chunks = client().chat.completions.create(model=CHAT, messages=user(text), stream=True)
    words = "".join(c.choices[0].delta.content or "" for c in chunks)
    assert words.startswith("naïve 数据 🦀 ") and len(words.split("数据")) == 9, words


@case()
def tools():
    reply = client().chat.completions.create(
        model=CHAT, messages=user("weather? ask in parallel [[tools=2]]"), tools=TOOLS, tool_choice="required"
    )
    calls = reply.choices[0].message.tool_calls
    assert reply.choices[0].finish_reason == "tool_calls" and calls
    assert [c.function.name for c in calls] == ["get_weather", "get_forecast"]
    for call in calls:
        assert pydantic.TypeAdapter(dict).validate_json(call.function.arguments)["city"]


@case()
def tools_streamed_and_answered():
    messages = user("weather? ask in parallel [[tools=2]]")
    with client().chat.completions.stream(
        model=CHAT, messages=messages, tools=TOOLS, tool_choice="required"
    ) as events:
        for _ in events:
            pass
        message = events.get_final_completion().choices[0].message
    assert [c.function.name for c in message.tool_calls] == ["get_weather", "get_forecast"]
    assert all("city" in pydantic.TypeAdapter(dict).validate_json(c.function.arguments) for c in message.tool_calls)
    turn = {
        "role": "assistant",
        "tool_calls": [c.model_dump(include={"id", "type"}) | {"function": {"name": c.function.name,
                       "arguments": c.function.arguments}} for c in message.tool_calls],
    }
    results = [{"role": "tool", "tool_call_id": c.id, "content": "sunny"} for c in message.tool_calls]
    reply = client().chat.completions.create(model=CHAT, messages=[*messages, turn, *results], tools=TOOLS)
    assert reply.choices[0].finish_reason == "stop" and reply.choices[0].message.content


@case()
def no_parallel_tool_calls():
    reply = client().chat.completions.create(
        model=CHAT, messages=user("weather? ask in parallel [[tools=2]]"), tools=TOOLS, parallel_tool_calls=False
    )
    assert len(reply.choices[0].message.tool_calls) == 1


@case()
def structured_output():
    reply = client().chat.completions.parse(model=CHAT, messages=user("report"), response_format=Report)
    report = reply.choices[0].message.parsed
    assert isinstance(report, Report) and report.mood in ("good", "bad") and report.parts


@case()
def structured_output_streamed():
    with client().chat.completions.stream(model=CHAT, messages=user("report"), response_format=Report) as events:
        report = events.get_final_completion().choices[0].message.parsed
    assert isinstance(report, Report) and report.parts[0].label


@case()
def images():
    content = [
        {"type": "text", "text": "what is this? [[echo=images]]"},
        {"type": "image_url", "image_url": {"url": "https://example.invalid/cat.png", "detail": "low"}},
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}},
    ]
    reply = client().chat.completions.create(model=CHAT, messages=[{"role": "user", "content": content}])
    text = reply.choices[0].message.content
    assert text == "images url=1 base64=1" if VENDOR else text


@case()
def several_choices():
    reply = client().chat.completions.create(model=CHAT, messages=user("hi [[tokens=6]]"), n=3)
    assert [c.index for c in reply.choices] == [0, 1, 2]
    assert reply.usage.completion_tokens == 18 or not VENDOR, reply.usage
    chunks = list(client().chat.completions.create(model=CHAT, messages=user("hi [[tokens=6]]"), n=2, stream=True))
    assert {c.choices[0].index for c in chunks} == {0, 1}


@case()
def output_cap():
    for cap in ("max_tokens", "max_completion_tokens"):
        reply = client().chat.completions.create(model=CHAT, messages=user("go on [[tokens=50]]"), **{cap: 5})
        assert reply.choices[0].finish_reason == "length" and reply.usage.completion_tokens == 5, (cap, reply)


@case()
def embeddings():
    floats = client().embeddings.create(model=EMBED, input=["one", "two"], encoding_format="float")
    # Without a format the SDK asks for base64 and unpacks it.
    packed = client().embeddings.create(model=EMBED, input=["one", "two"])
    assert len(floats.data) == 2 and [d.index for d in floats.data] == [0, 1]
    for a, b in zip(floats.data, packed.data, strict=True):
        assert max(abs(x - y) for x, y in zip(a.embedding, b.embedding, strict=True)) < 1e-6
    raw = client().embeddings.create(model=EMBED, input="one", encoding_format="base64").data[0].embedding
    values = struct.unpack(f"<{len(base64.b64decode(raw)) // 4}f", base64.b64decode(raw))
    assert max(abs(x - y) for x, y in zip(values, floats.data[0].embedding, strict=True)) < 1e-6
    assert floats.usage.prompt_tokens > 0


@case("direct", "gateway")
def embedding_dimensions():
    reply = client().embeddings.create(model=EMBED, input=[[1, 2, 3]], dimensions=16)
    assert len(reply.data[0].embedding) == 16 and reply.usage.prompt_tokens == 3


@case()
def prompt_of_one_megabyte():
    text = "y" * 1_000_000 + " [[tokens=3 tag=py-mega]]"
    reply = client().chat.completions.create(model=CHAT, messages=user(text))
    assert reply.choices[0].message.content
    chunks = list(client().chat.completions.create(model=CHAT, messages=user(text), stream=True))
    assert chunks[-1].choices[0].finish_reason == "stop"
    if VENDOR:
        assert [c["body_bytes"] > 1_000_000 for c in vendor_calls("py-mega")] == [True, True]


@case()
def concurrent():
    async def many():
        async with openai.AsyncOpenAI(base_url=BASE_URL, api_key=API_KEY, max_retries=0) as asynchronous:

            async def one(n):
                messages = user(f"call {n} [[tokens={n + 1}]]")
                stream = await asynchronous.chat.completions.create(model=CHAT, messages=messages, stream=True)
                return [c.choices[0].delta.content or "" async for c in stream]

            return await asyncio.gather(*(one(n) for n in range(20)))

    answers = asyncio.run(many())
    if VENDOR:
        assert [len([w for w in words if w]) for words in answers] == list(range(1, 21))
    assert all(answers)


@case()
def cancellation():
    stream = client().chat.completions.create(
        model=CHAT, messages=user("[[tokens=2000 delay_ms=10 tag=py-cancel]]"), stream=True
    )
    for _, _chunk in zip(range(5), stream):
        pass
    stream.close()
    if not VENDOR:
        assert client().chat.completions.create(model=CHAT, messages=user("next")).choices
        return
    (call,) = until("the vendor to be left", 1, lambda: [c for c in vendor_calls("py-cancel") if c["end"] == "left"])
    assert call["served"] < 300, call


if __name__ == "__main__":
    import errors  # noqa: F401  (registers its cases)

    assert PATH in ("direct", "gateway", "simulated")
    run()
