// Anthropic's official Node SDK, unmodified, against a mock vendor of either format, and the gateway before it.
import assert from 'node:assert/strict';
import Anthropic from '@anthropic-ai/sdk';
import { API_KEY, BASE_URL, CHAT, PATH, SPEAKS, SPENT_KEY, VENDOR } from './harness.mjs';
import { collect, lastCall, rejects, run, test, until, user, vendorCalls } from './harness.mjs';

const claude = (options = {}) =>
  new Anthropic({ baseURL: BASE_URL.replace(/\/v1$/, ''), apiKey: API_KEY, maxRetries: 0, timeout: 20_000, ...options });
const request = (body) => ({ model: CHAT, max_tokens: 4096, messages: user('hi'), ...body });
const ask = (body, options) => claude(options).messages.create(request(body));
const words = (reply) => reply.content.map((block) => (block.type === 'text' ? block.text : '')).join('');
const told = (error) => {
  assert.equal(error.error.type, 'error', JSON.stringify(error.error));
  assert(error.error.error.message.length > 4);
  return error.error.error.type;
};
const toVendorsOf = (speech, paths, name, body) => SPEAKS === speech && test(name, paths, body);

const TOOLS = ['get_weather', 'get_forecast'].map((name) => ({
  name,
  description: 'A tool for tests.',
  input_schema: {
    type: 'object',
    properties: { city: { type: 'string' }, days: { type: 'integer' } },
    required: ['city', 'days'],
  },
}));
const REPORT = {
  type: 'object',
  properties: { title: { type: 'string' }, mood: { type: 'string', enum: ['good', 'bad'] } },
  required: ['title', 'mood'],
  additionalProperties: false,
};
const PNG = Buffer.concat([Buffer.from('\x89PNG\r\n\x1a\n', 'latin1'), Buffer.alloc(64)]).toString('base64');
const THINKING = { type: 'enabled', budget_tokens: 1024 };

test('models', [], async () => {
  const listed = (await collect(claude().models.list())).map((m) => m.id);
  assert(listed.includes(CHAT), listed.join());
});

test('sync', [], async () => {
  const reply = await ask({ messages: user('hello [[tokens=30]]'), system: 'You are a mock.' });
  assert.deepEqual([reply.type, reply.role, reply.stop_reason], ['message', 'assistant', 'end_turn']);
  assert.equal(reply.usage.output_tokens, 30);
  assert(words(reply).startsWith('the mock vendor says'), words(reply));
});

test('stream', [], async () => {
  const messages = user('tell me [[tokens=40]]');
  const whole = words(await ask({ messages }));
  const events = await collect(await ask({ messages, stream: true }));
  const kinds = events.map((e) => e.type);
  assert.equal(kinds[0], 'message_start');
  assert.deepEqual(kinds.slice(-2), ['message_delta', 'message_stop']);
  const deltas = events.filter((e) => e.type === 'content_block_delta');
  assert.equal(deltas.map((e) => e.delta.text).join(''), whole);
  const end = events.at(-2);
  assert.deepEqual([end.delta.stop_reason, end.usage.output_tokens], ['end_turn', 40]);
});

test('stream helper', [], async () => {
  const stream = claude().messages.stream(request({ messages: user('hi [[tokens=20]]') }));
  let seen = '';
  stream.on('text', (delta) => (seen += delta));
  const final = await stream.finalMessage();
  assert.equal(words(final), seen);
  assert.equal(final.usage.output_tokens, 20);
});

test('usage of the cache', [], async () => {
  const marked = { type: 'text', text: 'x'.repeat(800), cache_control: { type: 'ephemeral' } };
  const content = [marked, { type: 'text', text: '[[tokens=5 cached=64]]' }];
  const { usage } = await ask({ messages: [{ role: 'user', content }] });
  assert.equal(usage.cache_read_input_tokens, 64);
  assert.equal(usage.input_tokens, (await lastCall()).prompt - 64);
});

test('unicode in small pieces', [], async () => {
  const stream = claude().messages.stream(request({ messages: user('[[tokens=64 unicode=1 bytes=3]]') }));
  assert((await stream.finalText()).startsWith('naïve 数据 🦀 '));
});

test('tools, streamed, and answered', [], async () => {
  const messages = user('weather? ask in parallel [[tools=2]]');
  const whole = await ask({ messages, tools: TOOLS, tool_choice: { type: 'any' } });
  assert.equal(whole.stop_reason, 'tool_use');
  const streamed = await claude().messages.stream(request({ messages, tools: TOOLS })).finalMessage();
  for (const reply of [whole, streamed]) {
    const calls = reply.content.filter((b) => b.type === 'tool_use');
    assert.deepEqual(calls.map((c) => c.name), ['get_weather', 'get_forecast']);
    for (const call of calls) assert.deepEqual(call.input, { city: 'mock text', days: 7 });
  }
  const calls = streamed.content.filter((b) => b.type === 'tool_use');
  const results = calls.map((c) => ({ type: 'tool_result', tool_use_id: c.id, content: 'sunny' }));
  const turns = [...messages, { role: 'assistant', content: streamed.content }, { role: 'user', content: results }];
  const reply = await ask({ messages: turns, tools: TOOLS });
  assert.equal(reply.stop_reason, 'end_turn');
});

test('structured output', [], async () => {
  const output_config = { format: { type: 'json_schema', schema: REPORT } };
  const whole = JSON.parse(words(await ask({ output_config })));
  const streamed = JSON.parse(await claude().messages.stream(request({ output_config })).finalText());
  for (const report of [whole, streamed]) {
    assert.deepEqual(Object.keys(report).sort(), ['mood', 'title']);
    assert(['good', 'bad'].includes(report.mood), report.mood);
  }
});

test('images', [], async () => {
  const content = [
    { type: 'text', text: '[[echo=images]]' },
    { type: 'image', source: { type: 'url', url: 'https://example.invalid/cat.png' } },
    { type: 'image', source: { type: 'base64', media_type: 'image/png', data: PNG } },
  ];
  const text = words(await ask({ messages: [{ role: 'user', content }] }));
  assert(text.startsWith('images url=1 base64=1'), text);
});

toVendorsOf('anthropic', [], 'thinking over three turns', async () => {
  const messages = user('first [[thinking=9 redacted=1 tools=1]]');
  const asked = (extra) => request({ messages, tools: TOOLS, thinking: THINKING, ...extra });
  const first = await claude().messages.stream(asked()).finalMessage();
  assert.deepEqual(first.content.map((b) => b.type), ['redacted_thinking', 'thinking', 'tool_use']);
  messages.push({ role: 'assistant', content: first.content });
  messages.push({ role: 'user', content: [{ type: 'tool_result', tool_use_id: first.content[2].id, content: 'fine' }] });
  const second = await claude().messages.create(asked());
  // The mock refuses a thought that is not signed by itself, word for word.
  assert.equal((await lastCall()).thoughts, 2);
  messages.push({ role: 'assistant', content: second.content }, ...user('third [[thinking=9 tag=js-thought]]'));
  const third = await claude().messages.stream(asked()).finalMessage();
  assert.deepEqual(third.content.map((b) => b.type), ['thinking', 'text']);
  assert(third.content[0].signature.length > 8 && third.usage.output_tokens === 21, JSON.stringify(third));
  assert.equal((await vendorCalls('js-thought'))[0].thoughts, 4);
});

toVendorsOf('openai', ['gateway'], 'thinking is effort', async () => {
  const messages = user('first [[tokens=5 reasoning=20]]');
  for (let turn = 0; turn < 3; turn += 1) {
    const reply = await ask({ model: 'mock-reason', messages, thinking: THINKING });
    assert.equal(reply.usage.output_tokens, 25);
    messages.push({ role: 'assistant', content: reply.content }, ...user('more [[tokens=5 reasoning=20]]'));
  }
});

test('count tokens', [], async () => {
  const messages = user('how long is this? '.repeat(40));
  const { input_tokens: counted } = await claude().messages.countTokens({ model: CHAT, messages });
  const { input_tokens: used } = (await ask({ messages })).usage;
  // Where the vendor cannot count, the gateway guesses.
  const near = SPEAKS === 'anthropic' ? counted === used : used / 2 <= counted && counted <= 2 * used;
  assert(near, `${counted} ${used}`);
});

test('concurrent', [], async () => {
  const one = (n) => claude().messages.stream(request({ messages: user(`[[tokens=${n + 1}]]`) })).finalText();
  const answers = await Promise.all(Array.from({ length: 20 }, (_, n) => one(n)));
  answers.forEach((text, n) => assert.equal(text.split(' ').length, n + 2, `${n}: ${text}`));
});

test('cancellation', [], async () => {
  const stream = await ask({ messages: user('[[tokens=2000 delay_ms=10 tag=js-claude-cancel]]'), stream: true });
  let seen = 0;
  for await (const _ of stream) {
    seen += 1;
    if (seen === 8) stream.controller.abort();
  }
  const left = async () => (await vendorCalls('js-claude-cancel')).find((c) => c.end === 'left');
  assert((await until('the vendor to be left', 1, left)).served < 300);
});

test('typed errors', [], async () => {
  const key = await rejects(Anthropic.AuthenticationError, () => ask({}, { apiKey: 'sk-sf-' + '0'.repeat(48) }));
  assert.deepEqual([key.status, told(key)], [401, 'authentication_error']);
  const model = await rejects(Anthropic.NotFoundError, () => ask({ model: 'no-such-model' }));
  assert.deepEqual([model.status, told(model)], [404, 'not_found_error']);
  const wrong = await rejects(Anthropic.BadRequestError, () => ask({ messages: 'not a list' }));
  assert(wrong.message.includes('messages') && told(wrong) === 'invalid_request_error', wrong.message);
});

test('errors of the vendor', ['direct'], async () => {
  const fault = (text) => () => ask({ messages: user(`[[fault=${text}]]`) });
  assert.equal(told(await rejects(Anthropic.RateLimitError, fault('status:429'))), 'rate_limit_error');
  assert.equal(told(await rejects(Anthropic.InternalServerError, fault('status:500'))), 'api_error');
  assert.equal(told(await rejects(Anthropic.InternalServerError, fault('status:529'))), 'overloaded_error');
});

test('errors of the vendor, through the gateway', ['gateway'], async () => {
  for (const fault of ['status:429', 'status:401', 'status:500', 'status:529']) {
    const error = await rejects(Anthropic.InternalServerError, () => ask({ messages: user(`[[fault=${fault}]]`) }));
    const expected = fault === 'status:529' ? [529, 'overloaded_error'] : [502, 'api_error'];
    assert.deepEqual([error.status, told(error)], expected, fault);
  }
});

test('errors in the stream', [], async () => {
  const read = async (fault) => collect(await ask({ messages: user(`[[tokens=20 fault=${fault}]]`), stream: true }));
  const broken = await rejects(Anthropic.APIError, () => read('error:5'));
  assert(['api_error', 'overloaded_error'].includes(told(broken)), broken.message);
  if (PATH === 'gateway') assert.equal(told(await rejects(Anthropic.APIError, () => read('cut:5'))), 'api_error');
});

test('a spent budget is not hammered', ['gateway'], async () => {
  let attempts = 0;
  const counted = (...args) => {
    attempts += 1;
    return fetch(...args);
  };
  const stubborn = { apiKey: SPENT_KEY, maxRetries: 5, fetch: counted };
  const error = await rejects(Anthropic.RateLimitError, () => ask({}, stubborn));
  assert.equal(told(error), 'rate_limit_error');
  assert.equal(error.headers.get('x-should-retry'), 'false');
  assert.equal(attempts, 1);
});

assert(VENDOR && ['direct', 'gateway'].includes(PATH));
await run();
