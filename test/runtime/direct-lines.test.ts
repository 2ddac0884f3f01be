import { expect, test } from 'vitest';
import { directLines } from '../../src/runtime/direct-lines.js';

/** An introducer that hands nothing on; what it was told. */
function silentIntroducer(): { readonly port: MessagePort; readonly told: unknown[] } {
  const told: unknown[] = [];
  const { port1, port2 } = new MessageChannel();
  port1.onmessage = ({ data }) => told.push(data);
  return { port: port2, told };
}

const nextTask = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 5));

test('where no line ever comes up, a message that goes elsewhere costs hardly a word more', async () => {
  const { port, told } = silentIntroducer();
  let asked = 0;
  const end = directLines(async () => (asked++ === 0 ? port : undefined)).open('a', () => {});
  for (let i = 0; i < 60; i++) {
    expect(end.post('b', 'x')).toBe(false);
    if (i === 0) await nextTask(); // the introducer is there
  }
  await nextTask();
  expect(told).toContainEqual({ join: 'a' });
  expect(told).toContainEqual({ to: 'b' });
  expect(told.length).toBeLessThan(10);
  end.close();
});
