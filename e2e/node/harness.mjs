// What every case needs: clients, the vendor's own account of a call, and a list of cases that fails loudly.
import assert from 'node:assert/strict';
import process from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';
import OpenAI from 'openai';

const { SDK_BASE_URL, SDK_API_KEY, SDK_VENDOR = '', SDK_PATH, SDK_CHAT, SDK_EMBED, SDK_SPENT_KEY = '' } = process.env;
// direct: no gateway between; gateway: to the mock vendor through it; simulated: no vendor.
export const PATH = SDK_PATH;
// Where the mock vendor tells what it saw; empty when the answers are simulated.
export const VENDOR = SDK_VENDOR;
export const [CHAT, EMBED, SPENT_KEY] = [SDK_CHAT, SDK_EMBED, SDK_SPENT_KEY];
export const [BASE_URL, API_KEY] = [SDK_BASE_URL, SDK_API_KEY];
// Whose format the vendor speaks: openai or anthropic.
export const SPEAKS = process.env.SDK_SPEAKS ?? 'openai';

const cases = [];

// Registers a case for these paths; without any, for all.
export function test(name, paths, run) {
  if (paths.length === 0 || paths.includes(PATH)) cases.push([name, run]);
}

// An unmodified client; retries are off unless a case asks for them.
export function client(options = {}) {
  return new OpenAI({ baseURL: SDK_BASE_URL, apiKey: SDK_API_KEY, maxRetries: 0, timeout: 20_000, ...options });
}

export const user = (text) => [{ role: 'user', content: text }];

export async function collect(stream) {
  const chunks = [];
  for await (const chunk of stream) chunks.push(chunk);
  return chunks;
}

export const text = (chunks) => chunks.map((c) => c.choices[0]?.delta.content ?? '').join('');

// The vendor's own account of the calls with this tag.
export async function vendorCalls(tag) {
  return (await fetch(`${VENDOR}/__calls?tag=${tag}`)).json();
}

// The vendor's own account of the last call of any tag.
export async function lastCall() {
  return (await (await fetch(`${VENDOR}/__calls`)).json()).at(-1);
}

// Waits for a condition; fails with its last answer.
export async function until(what, seconds, probe) {
  const end = Date.now() + seconds * 1000;
  for (;;) {
    const answer = await probe();
    if (answer) return answer;
    assert(Date.now() < end, `not within ${seconds} s: ${what}`);
    await sleep(10);
  }
}

// The error of exactly this class that the call rejects with.
export async function rejects(kind, call) {
  try {
    await call();
  } catch (error) {
    assert(error instanceof kind, `${error?.constructor?.name}: ${error?.stack} is not ${kind.name}`);
    return error;
  }
  throw new Error(`no ${kind.name} was thrown`);
}

// Runs all cases, one line each; exits with 1 when any failed.
export async function run() {
  const wanted = process.argv.slice(2);
  let failed = 0;
  for (const [name, body] of cases) {
    if (wanted.length > 0 && !wanted.includes(name)) continue;
    const start = Date.now();
    try {
      await body();
      console.log(`ok ${name} ${Date.now() - start}ms`);
    } catch (error) {
      failed += 1;
      console.log(`FAILED ${name}\n${error?.stack ?? error}`);
    }
  }
  console.log(`${cases.length - failed} passed, ${failed} failed`);
  process.exit(failed ? 1 : 0);
}
