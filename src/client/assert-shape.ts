import { KafkaJSNonRetriableError } from './errors.js';

/**
 * `[shape]`: a list of such; an object: one that has these where it has them, and those named with a `!` always; `''`: a
 * string; 0 is not looked at.
 */
export type Shape = readonly [Shape] | { readonly [name: string]: Shape } | '' | 0;

/**
 * As far as `shape` tells it, `value` is made of lists and objects: so much that code may walk through it.
 * @throws KafkaJSNonRetriableError with the `place` in the arguments and what was found, in KafkaJS's words.
 */
export function assertShape(place: string, value: unknown, shape: Shape): void {
  if (shape === 0 || (shape === '' && typeof value === 'string')) return;
  if (shape === '') throw new KafkaJSNonRetriableError(`Invalid ${place}, expected a string, received ${value}`);
  const isList = Array.isArray(shape);
  if (typeof value !== 'object' || value === null || Array.isArray(value) !== isList) {
    throw new KafkaJSNonRetriableError(
      isList
        ? `Invalid ${place.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`)} array ${value}`
        : `Invalid ${place || 'arguments'}, expected an object, received ${value}`,
    );
  }
  if (isList) {
    for (const [index, entry] of (value as readonly unknown[]).entries())
      assertShape(`${place}[${index}]`, entry, shape[0]);
    return;
  }
  for (const [key, part] of Object.entries(shape as Readonly<Record<string, Shape>>)) {
    const name = key.replace('!', '');
    const entry = (value as Readonly<Record<string, unknown>>)[name];
    const isAbsent = entry === undefined || (entry === null && place === ''); // KafkaJS's methods take null for nothing
    if (!isAbsent || key !== name) assertShape(place === '' ? name : `${place}.${name}`, entry, part);
  }
}
