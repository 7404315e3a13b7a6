// What callers with OpenAI's SDK ask for, whoever answers.
import assert from 'node:assert/strict';
import { CHAT } from './harness.mjs';
import { client, collect, text, user } from './harness.mjs';

export const TOOLS = ['get_weather', 'get_forecast'].map((name) => ({
  type: 'function',
  function: {
    name,
    description: 'A tool for tests.',
    parameters: {
      type: 'object',
      properties: { city: { type: 'string' }, days: { type: 'integer' } },
      required: ['city', 'days'],
    },
  },
}));
const REPORT = {
  name: 'report',
  strict: true,
  schema: {
    type: 'object',
    properties: { title: { type: 'string' }, mood: { type: 'string', enum: ['good', 'bad'] } },
    required: ['title', 'mood'],
    additionalProperties: false,
  },
};
export const PNG = Buffer.concat([Buffer.from('\x89PNG\r\n\x1a\n', 'latin1'), Buffer.alloc(64)]).toString('base64');
export const ask = (body, options) => client(options).chat.completions.create({ model: CHAT, messages: user('hi'), ...body });

// An answer that keeps to a schema, whole and streamed.
export async function structured() {
  const response_format = { type: 'json_schema', json_schema: REPORT };
  const reply = await client().chat.completions.parse({ model: CHAT, messages: user('report'), response_format });
  const report = JSON.parse(reply.choices[0].message.content);
  assert(typeof report.title === 'string' && ['good', 'bad'].includes(report.mood), reply.choices[0].message.content);
  const chunks = await collect(await ask({ response_format, stream: true }));
  assert.deepEqual(Object.keys(JSON.parse(text(chunks))).sort(), ['mood', 'title']);
}
