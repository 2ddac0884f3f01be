import fc from 'fast-check';
import { expect, test } from 'vitest';
import { decode, indentJson, preview } from '../../src/inspector/decode.js';

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

test('null, JSON, text and other bytes are told apart', () => {
  expect(decode(null)).toEqual({ format: 'null' });
  expect(decode(bytes('{"a":1}'))).toEqual({ format: 'json', text: '{"a":1}' });
  expect(decode(bytes('{"a":'))).toEqual({ format: 'text', text: '{"a":' });
  expect(decode(bytes('Zürich'))).toEqual({ format: 'text', text: 'Zürich' });
  expect(decode(Uint8Array.of(0, 1, 0xff, 0x41)).format).toBe('hex');
});

test('integers of 64 bits keep every digit', () => {
  expect(indentJson('{"id":9223372036854775807}')).toBe('{\n  "id": 9223372036854775807\n}');
});

test('indented JSON means what it meant', () => {
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      const text = JSON.stringify(value);
      expect(JSON.parse(indentJson(text))).toEqual(JSON.parse(text));
    }),
  );
});

test('no bytes make decoding fail, and a preview is one short line', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 600 }), (random) => {
      const line = preview(decode(random), 100);
      expect(line.length).toBeLessThanOrEqual(101);
      expect(line).not.toMatch(/[\n\r\t]/);
    }),
  );
});
