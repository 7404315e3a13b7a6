// The official Node SDK, unmodified, against the mock vendor, the gateway before it, or the simulated provider.
import assert from 'node:assert/strict';
import OpenAI from 'openai';
import { CHAT, EMBED, PATH, SPENT_KEY, VENDOR } from './harness.mjs';
import { client, collect, rejects, run, test, text, until, user, vendorCalls } from './harness.mjs';
import { PNG, TOOLS, ask, structured } from './openai.mjs';

const MOCKED = ['direct', 'gateway'];

test('models', [], async () => {
  const listed = (await collect(client().models.list())).map((m) => m.id);
  assert(listed.includes(CHAT), listed.join());
});

test('sync', [], async () => {
  const reply = await ask({ messages: user('hello [[tokens=30]]') });
  assert.equal(reply.choices[0].finish_reason, 'stop');
  assert(reply.choices[0].message.content.length > 0);
  assert.equal(reply.usage.total_tokens, reply.usage.prompt_tokens + reply.usage.completion_tokens);
  if (VENDOR) assert.equal(reply.usage.completion_tokens, 30);
});

test('stream', [], async () => {
  const messages = user('tell me [[tokens=40]]');
  const whole = await ask({ messages });
  const chunks = await collect(await ask({ messages, stream: true }));
  assert(chunks.every((c) => c.choices.length > 0 && !c.usage), 'usage came without being asked for');
  assert.equal(text(chunks), whole.choices[0].message.content);
  assert.equal(chunks.at(-1).choices[0].finish_reason, 'stop');
});

test('stream usage', [], async () => {
  const chunks = await collect(await ask({ stream: true, stream_options: { include_usage: true } }));
  assert.deepEqual(chunks.at(-1).choices, []);
  assert(chunks.at(-1).usage.completion_tokens > 0);
});

test('stream helper', [], async () => {
  const stream = client().chat.completions.stream({ model: CHAT, messages: user('hi [[tokens=20]]') });
  let seen = '';
  stream.on('content', (delta) => (seen += delta));
  assert.equal(await stream.finalContent(), seen);
});

test('unicode in small pieces', MOCKED, async () => {
  const chunks = await collect(await ask({ messages: user('[[tokens=64 unicode=1 bytes=3]]'), stream: true }));
  assert(text(chunks).startsWith('naïve 数据 🦀 '), text(chunks));
});

test('tools, streamed, and answered', [], async () => {
  const messages = user('weather? ask in parallel [[tools=2]]');
  const whole = await ask({ messages, tools: TOOLS, tool_choice: 'required' });
  assert.equal(whole.choices[0].finish_reason, 'tool_calls');
  const stream = client().chat.completions.stream({ model: CHAT, messages, tools: TOOLS, tool_choice: 'required' });
  const message = await stream.finalMessage();
  const names = message.tool_calls.map((c) => c.function.name);
  assert.deepEqual(names, ['get_weather', 'get_forecast']);
  for (const call of message.tool_calls) assert('city' in JSON.parse(call.function.arguments));
  const turn = { role: 'assistant', tool_calls: message.tool_calls.map(({ id, type, function: f }) => ({ id, type, function: { name: f.name, arguments: f.arguments } })) };
  const results = message.tool_calls.map((c) => ({ role: 'tool', tool_call_id: c.id, content: 'sunny' }));
  const reply = await ask({ messages: [...messages, turn, ...results], tools: TOOLS });
  assert.equal(reply.choices[0].finish_reason, 'stop');
});

test('structured output', [], structured);

test('images', [], async () => {
  const content = [
    { type: 'text', text: '[[echo=images]]' },
    { type: 'image_url', image_url: { url: 'https://example.invalid/cat.png' } },
    { type: 'image_url', image_url: { url: `data:image/png;base64,${PNG}` } },
  ];
  const reply = await ask({ messages: [{ role: 'user', content }] });
  const told = reply.choices[0].message.content;
  assert(VENDOR ? told === 'images url=1 base64=1' : told, told);
});

test('embeddings', [], async () => {
  const floats = await client().embeddings.create({ model: EMBED, input: ['one', 'two'], encoding_format: 'float' });
  // Without a format the SDK asks for base64 and unpacks it.
  const packed = await client().embeddings.create({ model: EMBED, input: ['one', 'two'] });
  assert.equal(floats.data.length, 2);
  floats.data.forEach((d, n) => {
    assert.equal(d.embedding.length, packed.data[n].embedding.length);
    d.embedding.forEach((x, at) => assert(Math.abs(x - packed.data[n].embedding[at]) < 1e-6));
  });
});

test('prompt of one megabyte', [], async () => {
  const messages = user('z'.repeat(1_000_000) + ' [[tokens=3 tag=js-mega]]');
  assert((await ask({ messages })).choices[0].message.content);
  const chunks = await collect(await ask({ messages, stream: true }));
  assert.equal(chunks.at(-1).choices[0].finish_reason, 'stop');
  if (VENDOR) assert((await vendorCalls('js-mega')).every((c) => c.body_bytes > 1_000_000));
});

test('concurrent', [], async () => {
  const one = async (n) => text(await collect(await ask({ messages: user(`[[tokens=${n + 1}]]`), stream: true })));
  const answers = await Promise.all(Array.from({ length: 20 }, (_, n) => one(n)));
  answers.forEach((words, n) => assert(VENDOR ? words.split(' ').length === n + 2 : words, `${n}: ${words}`));
});

test('cancellation', [], async () => {
  const messages = user('[[tokens=2000 delay_ms=10 tag=js-cancel]]');
  const stream = await ask({ messages, stream: true });
  let seen = 0;
  for await (const _ of stream) {
    seen += 1;
    if (seen === 5) stream.controller.abort();
  }
  if (!VENDOR) return assert((await ask({ messages: user('next') })).choices.length > 0);
  const left = async () => (await vendorCalls('js-cancel')).find((c) => c.end === 'left');
  assert((await until('the vendor to be left', 1, left)).served < 300);
});

test('typed errors', [], async () => {
  const key = await rejects(OpenAI.AuthenticationError, () => ask({}, { apiKey: 'sk-sf-' + '0'.repeat(48) }));
  assert.equal(key.code, 'invalid_api_key');
  assert.equal((await rejects(OpenAI.NotFoundError, () => ask({ model: 'no-such-model' }))).code, 'model_not_found');
  const wrong = await rejects(OpenAI.BadRequestError, () => ask({ messages: 'not a list' }));
  assert(wrong.message.includes('messages'), wrong.message);
});

test('typed errors of the vendor', ['gateway'], async () => {
  const vendor = await rejects(OpenAI.InternalServerError, () => ask({ messages: user('[[fault=status:500]]') }));
  assert.equal(vendor.status, 502);
  assert.equal(vendor.code, 'upstream_failed');
  const unknown = await rejects(OpenAI.BadRequestError, () => ask({ frobnicate: 1 }));
  assert(unknown.message.includes('frobnicate'), unknown.message);
});

test('errors in the stream', MOCKED, async () => {
  const read = async (fault) => collect(await ask({ messages: user(`[[tokens=20 fault=${fault}]]`), stream: true }));
  await rejects(OpenAI.APIError, () => read('error:5'));
  if (PATH === 'gateway') await rejects(OpenAI.APIError, () => read('cut:5'));
});

test('a spent budget is not hammered', ['gateway', 'simulated'], async () => {
  let attempts = 0;
  const counted = (...args) => {
    attempts += 1;
    return fetch(...args);
  };
  const stubborn = { apiKey: SPENT_KEY, maxRetries: 5, fetch: counted };
  const error = await rejects(OpenAI.RateLimitError, () => ask({}, stubborn));
  assert.equal(error.code, 'budget_exceeded');
  assert.equal(error.headers.get('x-should-retry'), 'false');
  assert.equal(attempts, 1);
});

await run();
