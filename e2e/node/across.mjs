// OpenAI's official Node SDK, unmodified, through the gateway to a vendor that speaks Anthropic's format.
import assert from 'node:assert/strict';
import OpenAI from 'openai';
import { CHAT, PATH, SPEAKS } from './harness.mjs';
import { client, collect, lastCall, rejects, run, test, text, until, user, vendorCalls } from './harness.mjs';
import { PNG, TOOLS, ask, structured } from './openai.mjs';

test('models', [], async () => {
  assert((await collect(client().models.list())).some((m) => m.id === CHAT));
});

test('sync', [], async () => {
  const reply = await ask({ messages: user('hello [[tokens=30]]') });
  assert.equal(reply.choices[0].finish_reason, 'stop');
  assert(reply.choices[0].message.content.startsWith('the mock vendor says'));
  assert.deepEqual([reply.usage.completion_tokens, reply.usage.prompt_tokens], [30, (await lastCall()).prompt]);
});

test('stream', [], async () => {
  const messages = user('tell me [[tokens=40]]');
  const whole = await ask({ messages });
  const chunks = await collect(await ask({ messages, stream: true }));
  assert(chunks.every((c) => c.choices.length > 0 && !c.usage), 'usage came without being asked for');
  assert.equal(text(chunks), whole.choices[0].message.content);
  assert.equal(chunks.at(-1).choices[0].finish_reason, 'stop');
  const counted = await collect(await ask({ messages, stream: true, stream_options: { include_usage: true } }));
  assert.deepEqual([counted.at(-1).choices, counted.at(-1).usage.completion_tokens], [[], 40]);
});

test('tools, streamed, and answered', [], async () => {
  const messages = user('weather? ask in parallel [[tools=2]]');
  const stream = client().chat.completions.stream({ model: CHAT, messages, tools: TOOLS, tool_choice: 'required' });
  const message = await stream.finalMessage();
  assert.deepEqual(message.tool_calls.map((c) => c.function.name), ['get_weather', 'get_forecast']);
  for (const call of message.tool_calls) {
    assert.deepEqual(JSON.parse(call.function.arguments), { city: 'mock text', days: 7 });
  }
  const tool_calls = message.tool_calls.map(({ id, function: f }) => ({ id, type: 'function', function: { name: f.name, arguments: f.arguments } }));
  const results = tool_calls.map((c) => ({ role: 'tool', tool_call_id: c.id, content: 'sunny' }));
  const reply = await ask({ messages: [...messages, { role: 'assistant', tool_calls }, ...results], tools: TOOLS });
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
  assert.equal(reply.choices[0].message.content, 'images url=1 base64=1 documents=0');
});

test('thinking over three turns', [], async () => {
  const messages = user('first [[thinking=9 redacted=1 tools=1]]');
  const body = { messages, tools: TOOLS, thinking: { type: 'enabled', budget_tokens: 1024 }, max_completion_tokens: 4000 };
  const first = (await ask(body)).choices[0].message;
  assert(first.reasoning_content.startsWith('I wonder'), JSON.stringify(first));
  messages.push(first, { role: 'tool', tool_call_id: first.tool_calls[0].id, content: 'fine' });
  const second = (await ask(body)).choices[0].message;
  // The mock refuses a thought that is not signed by itself, word for word.
  assert.equal((await lastCall()).thoughts, 2);
  messages.push(second, ...user('third [[thinking=9 tag=js-across]]'));
  assert.equal((await ask(body)).usage.completion_tokens, 21);
  assert.equal((await vendorCalls('js-across'))[0].thoughts, 4);
});

test('cancellation', [], async () => {
  const stream = await ask({ messages: user('[[tokens=2000 delay_ms=10 tag=js-across-cancel]]'), stream: true });
  let seen = 0;
  for await (const _ of stream) {
    seen += 1;
    if (seen === 5) stream.controller.abort();
  }
  const left = async () => (await vendorCalls('js-across-cancel')).find((c) => c.end === 'left');
  assert((await until('the vendor to be left', 1, left)).served < 300);
});

test('typed errors', [], async () => {
  const key = await rejects(OpenAI.AuthenticationError, () => ask({}, { apiKey: 'sk-sf-' + '0'.repeat(48) }));
  assert.equal(key.code, 'invalid_api_key');
  assert.equal((await rejects(OpenAI.NotFoundError, () => ask({ model: 'no-such-model' }))).code, 'model_not_found');
  for (const fault of ['status:429', 'status:401', 'status:500', 'status:529']) {
    const error = await rejects(OpenAI.InternalServerError, () => ask({ messages: user(`[[fault=${fault}]]`) }));
    assert([502, 503].includes(error.status) && error.type === 'upstream_error', `${fault}: ${error.message}`);
  }
});

test('errors in the stream', [], async () => {
  for (const fault of ['error:5', 'cut:5', 'reset:5']) {
    const read = async () => collect(await ask({ messages: user(`[[tokens=20 fault=${fault}]]`), stream: true }));
    await rejects(OpenAI.APIError, read);
  }
});

assert.deepEqual([PATH, SPEAKS], ['gateway', 'anthropic']);
await run();
