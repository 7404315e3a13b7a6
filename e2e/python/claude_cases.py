"""Anthropic's official Python SDK, unmodified, against a mock vendor of either format, and the gateway before it."""

import asyncio
import base64
from typing import Literal

import anthropic
import pydantic

from harness import API_KEY, BASE_URL, CHAT, FREE_KEY, PATH, SPEAKS, VENDOR, case, claude, last_call, run, until, user, vendor_calls
from harness import ask_claude as ask
from props import CLAUDE_TOOLS as TOOLS
from props import PNG

PICTURE = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}}
THINKING = {"type": "enabled", "budget_tokens": 1024}


class Part(pydantic.BaseModel):
    label: str
    count: int


class Report(pydantic.BaseModel):
    title: str
    mood: Literal["good", "bad"]
    parts: list[Part]


def words(reply):
    return "".join(block.text for block in reply.content if block.type == "text")


@case()
def models():
    listed = [m.id for m in claude().models.list()]
    assert CHAT in listed, listed


@case()
def sync():
    reply = ask("hello [[tokens=30]]", system="You are a mock.")
    assert (reply.type, reply.role, reply.stop_reason) == ("message", "assistant", "end_turn"), reply
    assert reply.usage.output_tokens == 30 and reply.usage.input_tokens > 0, reply.usage
    assert words(reply).startswith("the mock vendor says"), reply
    assert reply.id and reply.model, reply


@case("gateway")
def key_as_bearer():
    reply = ask("hello [[tokens=3]]", client=claude(api_key=None, auth_token=API_KEY))
    assert reply.usage.output_tokens == 3


@case()
def stream():
    whole = words(ask("tell me [[tokens=40]]"))
    events = list(ask("tell me [[tokens=40]]", stream=True))
    kinds = [event.type for event in events]
    assert kinds[0] == "message_start" and kinds[-2:] == ["message_delta", "message_stop"], kinds
    assert kinds.count("content_block_start") == kinds.count("content_block_stop") == 1, kinds
    assert "".join(e.delta.text for e in events if e.type == "content_block_delta") == whole
    assert events[-2].delta.stop_reason == "end_turn" and events[-2].usage.output_tokens == 40, events[-2]


@case()
def stream_helper():
    with claude().messages.stream(model=CHAT, max_tokens=100, messages=user("hi [[tokens=20]]")) as events:
        seen = "".join(events.text_stream)
        final = events.get_final_message()
    assert words(final) == seen and final.usage.output_tokens == 20 and final.stop_reason == "end_turn", final


@case()
def usage_of_the_cache():
    marked = [{"type": "text", "text": "x" * 800, "cache_control": {"type": "ephemeral"}}]
    messages = [{"role": "user", "content": [*marked, {"type": "text", "text": "[[tokens=5 cached=64 written=32]]"}]}]
    usage = ask(messages=messages).usage
    whole = last_call()["prompt"]
    written = 32 if SPEAKS == "anthropic" else 0
    assert (usage.cache_read_input_tokens, usage.cache_creation_input_tokens or 0) == (64, written), usage
    assert usage.input_tokens == whole - 64 - written and usage.output_tokens == 5, (usage, whole)
    with claude().messages.stream(model=CHAT, max_tokens=100, messages=messages) as events:
        usage = events.get_final_message().usage
    assert (usage.cache_read_input_tokens, usage.input_tokens) == (64, whole - 64 - written), usage


@case()
def unicode_in_small_pieces():
    with claude().messages.stream(
        model=CHAT, max_tokens=500, messages=user("write [[tokens=64 unicode=1 bytes=3]]")
    ) as events:
        text = "".join(events.text_stream)
    assert text.startswith("naïve 数据 🦀 ") and len(text.split("数据")) == 9, text


@case()
def tools():
    reply = ask("weather? ask in parallel [[tools=2]]", tools=TOOLS, tool_choice={"type": "any"})
    calls = [block for block in reply.content if block.type == "tool_use"]
    assert reply.stop_reason == "tool_use" and [c.name for c in calls] == ["get_weather", "get_forecast"], reply
    assert all(c.input == {"city": "mock text", "days": 7} for c in calls), calls
    named = ask("weather? [[tools=2]]", tools=TOOLS, tool_choice={"type": "tool", "name": "get_forecast"})
    assert [b.name for b in named.content if b.type == "tool_use"][0] == "get_forecast", named


@case()
def tools_streamed_and_answered():
    messages = user("weather? ask in parallel [[tools=2]]")
    with claude().messages.stream(model=CHAT, max_tokens=900, messages=messages, tools=TOOLS) as events:
        pieces = [event.partial_json for event in events if event.type == "input_json"]
        message = events.get_final_message()
    calls = [block for block in message.content if block.type == "tool_use"]
    assert [c.name for c in calls] == ["get_weather", "get_forecast"] and len(pieces) > 4, (calls, pieces)
    assert all(c.input == {"city": "mock text", "days": 7} for c in calls), calls
    assert len({c.id for c in calls}) == 2
    results = [{"type": "tool_result", "tool_use_id": c.id, "content": "sunny"} for c in calls]
    messages += [{"role": "assistant", "content": message.content}, {"role": "user", "content": results}]
    reply = ask(messages=messages, tools=TOOLS)
    assert reply.stop_reason == "end_turn" and words(reply), reply


@case()
def no_parallel_tools():
    choice = {"type": "auto", "disable_parallel_tool_use": True}
    reply = ask("weather? [[tools=2]]", tools=TOOLS, tool_choice=choice)
    assert [b.type for b in reply.content if b.type == "tool_use"] == ["tool_use"], reply


@case()
def a_picture_as_the_result_of_a_tool():
    messages = user("look [[tools=1]]")
    turn = ask(messages=messages, tools=TOOLS)
    call = next(b for b in turn.content if b.type == "tool_use")
    content = [{"type": "text", "text": "here"}, PICTURE]
    result = {"type": "tool_result", "tool_use_id": call.id, "content": content}
    messages += [{"role": "assistant", "content": turn.content}, {"role": "user", "content": [result]}]
    assert ask(messages=messages, tools=TOOLS).stop_reason == "end_turn"
    assert last_call()["images_base64"] == 1, last_call()


@case()
def structured_output():
    asked = {"model": CHAT, "max_tokens": 900, "messages": user("report"), "output_format": Report}
    report = claude().messages.parse(**asked).parsed_output
    assert isinstance(report, Report) and report.mood in ("good", "bad") and report.parts, report
    with claude().messages.stream(**asked) as events:
        report = events.get_final_message().parsed_output
    assert isinstance(report, Report) and report.parts[0].label, report


@case()
def images():
    content = [
        {"type": "text", "text": "what is this? [[echo=images]]"},
        {"type": "image", "source": {"type": "url", "url": "https://example.invalid/cat.png"}},
        PICTURE,
    ]
    text = words(ask(messages=[{"role": "user", "content": content}]))
    assert text.startswith("images url=1 base64=1"), text


@case(speaks="anthropic")
def documents():
    pdf = base64.b64encode(b"%PDF-1.4 mock").decode()
    content = [
        {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": pdf}},
        {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "a page"}},
        {"type": "text", "text": "[[echo=images]]"},
    ]
    reply = ask(messages=[{"role": "user", "content": content}], client=claude(api_key=FREE_KEY))
    assert words(reply) == "images url=0 base64=0 documents=2", reply


@case(speaks="anthropic")
def thinking_over_three_turns():
    messages = user("first [[thinking=9 redacted=1 tools=1]]")
    first = ask(messages=messages, tools=TOOLS, thinking=THINKING)
    kinds = [block.type for block in first.content]
    assert kinds == ["redacted_thinking", "thinking", "tool_use"], kinds
    result = [{"type": "tool_result", "tool_use_id": first.content[2].id, "content": "fine"}]
    messages += [{"role": "assistant", "content": first.content}, {"role": "user", "content": result}]
    with claude().messages.stream(
        model=CHAT, max_tokens=4096, messages=messages, tools=TOOLS, thinking=THINKING
    ) as events:
        thought = "".join(event.thinking for event in events if event.type == "thinking")
        second = events.get_final_message()
    assert second.content[-2].thinking == thought and second.content[-2].signature, second
    # The mock refuses a thought that is not signed by itself, word for word.
    assert last_call()["thoughts"] == 2, last_call()
    messages += [{"role": "assistant", "content": second.content}, *user("third [[thinking=9 tag=py-thought]]")]
    third = ask(messages=messages, tools=TOOLS, thinking=THINKING)
    assert [b.type for b in third.content] == ["thinking", "text"] and third.usage.output_tokens == 21, third
    assert vendor_calls("py-thought")[0]["thoughts"] == 4, vendor_calls("py-thought")


@case("gateway", speaks="openai")
def thinking_is_effort():
    messages = user("first [[tokens=5 reasoning=20]]")
    for turn in range(3):
        reply = ask(model="mock-reason", messages=messages, thinking=THINKING)
        assert reply.usage.output_tokens == 25 and words(reply), (turn, reply)
        messages += [{"role": "assistant", "content": reply.content}, *user("more [[tokens=5 reasoning=20]]")]


@case(speaks="anthropic")
def stop_sequence():
    reply = ask("go on [[tokens=50]]", stop_sequences=["vendor"])
    assert (reply.stop_reason, reply.stop_sequence, words(reply)) == ("stop_sequence", "vendor", "the mock "), reply


@case()
def output_cap():
    reply = ask("go on [[tokens=50]]", max_tokens=5)
    assert reply.stop_reason == "max_tokens" and reply.usage.output_tokens == 5, reply


@case()
def count_tokens():
    text = "how long is this? " * 40
    raw = claude().messages.with_raw_response.count_tokens(model=CHAT, system="Count.", messages=user(text))
    counted, used = raw.parse().input_tokens, ask(text, system="Count.").usage.input_tokens
    if SPEAKS == "anthropic":
        assert counted == used and "x-smartflow-estimated" not in raw.headers, (counted, used)
    else:
        # The vendor cannot count: the gateway guesses, and says so.
        assert used / 2 <= counted <= 2 * used and raw.headers["x-smartflow-estimated"] == "true", (counted, used)


@case()
def concurrent():
    async def many():
        root = BASE_URL.removesuffix("/v1")
        async with anthropic.AsyncAnthropic(base_url=root, api_key=API_KEY, max_retries=0) as asynchronous:

            async def one(n):
                messages = user(f"call {n} [[tokens={n + 1}]]")
                async with asynchronous.messages.stream(model=CHAT, max_tokens=99, messages=messages) as events:
                    return [text async for text in events.text_stream]

            return await asyncio.gather(*(one(n) for n in range(20)))

    answers = asyncio.run(many())
    assert [len(texts) for texts in answers] == list(range(1, 21)), answers


@case()
def cancellation():
    stream = ask("[[tokens=2000 delay_ms=10 tag=py-claude-cancel]]", stream=True)
    for _, _event in zip(range(8), stream):
        pass
    stream.close()
    left = lambda: [c for c in vendor_calls("py-claude-cancel") if c["end"] == "left"]  # noqa: E731
    (call,) = until("the vendor to be left", 1, left)
    assert call["served"] < 300, call


if __name__ == "__main__":
    import claude_errors  # noqa: F401  (registers its cases)

    assert PATH in ("direct", "gateway") and VENDOR
    run()
