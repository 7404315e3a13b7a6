"""What every case needs: clients, the vendor's own account of a call, and a list of cases that fails loudly."""

import json
import os
import sys
import time
import traceback
import urllib.request

import anthropic
import openai

BASE_URL = os.environ["SDK_BASE_URL"]
API_KEY = os.environ["SDK_API_KEY"]
# Where the mock vendor tells what it saw; empty when the answers are simulated.
VENDOR = os.environ.get("SDK_VENDOR", "")
# direct: no gateway between; gateway: to the mock vendor through it; simulated: no vendor.
PATH = os.environ["SDK_PATH"]
# Whose format the vendor speaks: openai or anthropic.
SPEAKS = os.environ.get("SDK_SPEAKS", "openai")
# A key whose budget is spent; only behind the gateway.
SPENT_KEY = os.environ.get("SDK_SPENT_KEY", "")
# A key without a budget, for what has no price.
FREE_KEY = os.environ.get("SDK_FREE_KEY") or API_KEY
CHAT = os.environ["SDK_CHAT"]
EMBED = os.environ["SDK_EMBED"]

CASES = []


def case(*paths, speaks=SPEAKS):
    """Registers a case for these paths, and for vendors that speak this format; without any, for all."""

    def register(function):
        if (not paths or PATH in paths) and speaks == SPEAKS:
            CASES.append(function)
        return function

    return register


def client(**options):
    """An unmodified client; retries are off unless a case asks for them."""
    options.setdefault("max_retries", 0)
    options.setdefault("api_key", API_KEY)
    return openai.OpenAI(base_url=BASE_URL, timeout=20, **options)


def claude(**options):
    """An unmodified client of Anthropic's; retries are off unless a case asks for them."""
    options.setdefault("max_retries", 0)
    if "auth_token" not in options:
        options.setdefault("api_key", API_KEY)
    return anthropic.Anthropic(base_url=BASE_URL.removesuffix("/v1"), timeout=20, **options)


def user(text):
    return [{"role": "user", "content": text}]


def ask_claude(text="hi", **options):
    """A call with Anthropic's SDK."""
    caller = options.pop("client", None) or claude()
    return caller.messages.create(**{"model": CHAT, "max_tokens": 4096, "messages": user(text)} | options)


def vendor_calls(tag):
    """The vendor's own account of the calls with this tag."""
    with urllib.request.urlopen(f"{VENDOR}/__calls?tag={tag}", timeout=10) as answer:
        return json.load(answer)


def last_call():
    """The vendor's own account of the last call of any tag."""
    with urllib.request.urlopen(f"{VENDOR}/__calls", timeout=10) as answer:
        return json.load(answer)[-1]


def until(what, seconds, probe):
    """Waits for a condition; fails with its last answer."""
    end = time.monotonic() + seconds
    while True:
        answer = probe()
        if answer:
            return answer
        assert time.monotonic() < end, f"not within {seconds} s: {what}: {answer!r}"
        time.sleep(0.01)


def raises(kind, call, exactly=True):
    """The error of this type that the call raises."""
    loose = kind in (openai.APIError, anthropic.APIStatusError) or not exactly
    try:
        call()
    except kind as error:
        assert type(error) is kind or loose, f"{type(error)} is not exactly {kind}"
        return error
    raise AssertionError(f"no {kind.__name__} was raised")


def run():
    """Runs all cases, one line each; exits with 1 when any failed."""
    wanted = sys.argv[1:]
    failed = 0
    for function in CASES:
        if wanted and function.__name__ not in wanted:
            continue
        start = time.monotonic()
        try:
            function()
            print(f"ok {function.__name__} {time.monotonic() - start:.2f}s", flush=True)
        except Exception:
            failed += 1
            print(f"FAILED {function.__name__}\n{traceback.format_exc()}", flush=True)
    print(f"{len(CASES) - failed} passed, {failed} failed", flush=True)
    sys.exit(1 if failed else 0)
