import fc from 'fast-check';
import { expect, test } from 'vitest';
import { decode, indentJson, preview, visibleText } from '../../src/inspector/decode.js';

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
      decode(random);
      const line = preview(random, 100) as string;
      expect(line.length).toBeLessThanOrEqual(301);
      expect(line).not.toMatch(/[\n\r\t]/);
    }),
  );
});

test('a preview is made of the first bytes alone, also where they end within a character', () => {
  expect(preview(null)).toBeUndefined();
  expect(preview(bytes('tea\nfor two'))).toBe('tea for two');
  expect(preview(bytes('ü'.repeat(1_000_000)), 10)).toBe(`${'ü'.repeat(10)}…`);
  expect(preview(bytes(`a${'ü'.repeat(30)}`), 10)).toBe(`a${'ü'.repeat(9)}…`);
  expect(preview(Uint8Array.of(0, 1, 255))).toBe('00 01 ff');
});

test('what would change the direction of text is spelled out', () => {
  expect(visibleText('\u202Egpj.exe')).toBe('⟨U+202E⟩gpj.exe');
  expect(preview(bytes('a\u2066b'))).toBe('a⟨U+2066⟩b');
});

test('what hides in a text is spelled out, what lays it out or joins its letters is not', () => {
  expect(visibleText('a\u0007b\u007fc\u0085\u200b\ufeff\u2028')).toBe(
    'a⟨U+0007⟩b⟨U+007F⟩c⟨U+0085⟩⟨U+200B⟩⟨U+FEFF⟩⟨U+2028⟩',
  );
  expect(visibleText('a\tb\r\nc 👩‍👧 می‌خواهم')).toBe('a\tb\r\nc 👩‍👧 می‌خواهم');
});

test('text with any control character is shown by its bytes', () => {
  for (const control of ['\u0000', '\u001b', '\u007f', '\u0085'])
    expect(decode(bytes(`a${control}`)).format).toBe('hex');
});

test('a cut leaves no half of a character', () => {
  expect(preview(bytes('aa🚀🚀'), 3)).toBe('aa…');
  expect(preview(bytes('aa🚀🚀'), 4)).toBe('aa🚀…');
});
