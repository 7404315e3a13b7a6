"""Calls several gateways with one key, by the official SDK, unmodified. Prints what became of it as JSON.

fleet.py once   one call at each gateway
fleet.py race   four callers at each gateway, until each was refused again and again
"""

import json
import os
import sys
import threading
import time

import openai

URLS = os.environ["FLEET_URLS"].split(",")
KEY = os.environ["FLEET_KEY"]
MODEL = os.environ["FLEET_MODEL"]
TOKENS = int(os.environ["FLEET_TOKENS"])
CALLERS = 4
# A caller that was refused this often in a row is refused for good.
REFUSALS = 4
PATIENCE = 60


def client(url):
    return openai.OpenAI(base_url=url, api_key=KEY, timeout=20, max_retries=0)


def call(caller):
    """Status, and the model that answered or the error's code."""
    message = {"role": "user", "content": f"hi [[tokens={TOKENS}]]"}
    try:
        reply = caller.chat.completions.create(model=MODEL, max_tokens=TOKENS, messages=[message])
    except openai.APIStatusError as error:
        return error.status_code, error.code
    assert reply.choices[0].message.content
    assert 0 < reply.usage.completion_tokens <= TOKENS
    return 200, reply.model


def once():
    return [call(client(url)) for url in URLS]


def race():
    """How many calls ended how."""
    seen, lock, end = {}, threading.Lock(), time.monotonic() + PATIENCE

    def run(url):
        caller, refused = client(url), 0
        while refused < REFUSALS and time.monotonic() < end:
            status, what = call(caller)
            refused = refused + 1 if status == 429 else 0
            with lock:
                name = f"{status} {what}"
                seen[name] = seen.get(name, 0) + 1

    callers = [threading.Thread(target=run, args=[url]) for url in URLS for _ in range(CALLERS)]
    for one in callers:
        one.start()
    for one in callers:
        one.join()
    assert time.monotonic() < end, f"not refused for good within {PATIENCE} s: {seen}"
    return seen


print(json.dumps({"once": once, "race": race}[sys.argv[1]]()))
