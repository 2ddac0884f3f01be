import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';

const COMMAND_TIMEOUT_MS = 30_000;
const FAREWELL_MS = 5_000;
const START_ATTEMPTS = 150;
/**
 * Runs a command in a process group of its own until standard input ends, as it does when whoever holds the other end dies, of
 * whatever. What is inside, as Xvfb, outlives it and is cleaned up by those who started it.
 */
const WHILE_HELD = 'setsid "$@" & cat >/dev/null; kill -s TERM -- -$!; sleep 1; kill -s KILL -- -$!; true';

/** @typedef {(method: string, path: string, body?: unknown) => Promise<any>} WebDriverCommand */

/**
 * WebKitGTK over plain W3C WebDriver, and one session of it. Paths of commands are the session's. Ends with this process.
 * @param {string} driver
 * @returns {Promise<{ command: WebDriverCommand, stop: () => Promise<void> }>}
 */
export async function startWebKit(driver) {
  const port = await freePort();
  const call = webdriverClient(`http://127.0.0.1:${port}`);
  const hasDisplay = process.env.DISPLAY || process.env.WAYLAND_DISPLAY;
  const guarded = ['sh', '-c', WHILE_HELD, 'sh', driver, `--port=${port}`];
  const [program, ...args] = [...(hasDisplay ? [] : ['xvfb-run', '-a']), ...guarded];
  const child = spawn(program, args, {
    env: { ...process.env, LIBGL_ALWAYS_SOFTWARE: '1', NO_AT_BRIDGE: '1' },
    stdio: ['pipe', 'ignore', 'ignore'],
    detached: true, // what interrupts us is not theirs to hear: they end when we have
  });
  child.stdin.on('error', () => {}); // it has ended already
  const ended = once(child, 'exit').catch((error) => error);
  let session = '';
  const stop = async () => {
    if (session) await call('DELETE', session, undefined, FAREWELL_MS).catch(() => {});
    child.stdin.end();
    await ended;
  };
  try {
    await answering(call, ended);
    const capabilities = { browserName: 'MiniBrowser', 'webkitgtk:browserOptions': { args: ['--automation'] } };
    const { sessionId } = await call('POST', '/session', { capabilities: { alwaysMatch: capabilities } });
    session = `/session/${sessionId}`;
  } catch (error) {
    await stop();
    throw error;
  }
  return { command: (method, path, body) => call(method, session + path, body), stop };
}

async function answering(call, ended) {
  for (let attempt = 0; ; attempt++) {
    const error = await call('GET', '/status').then(
      () => undefined,
      (reason) => reason,
    );
    if (!error) return;
    if (attempt === START_ATTEMPTS) throw error;
    const hasEnded = await Promise.race([ended, new Promise((resolve) => setTimeout(resolve, 100))]);
    if (hasEnded) throw new Error('the driver of WebKit ended before it answered', { cause: error });
  }
}

function webdriverClient(base) {
  return async (method, path, body, timeoutMs = COMMAND_TIMEOUT_MS) => {
    const json = body && { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } };
    const response = await fetch(base + path, { method, ...json, signal: AbortSignal.timeout(timeoutMs) });
    const { value } = await response.json();
    if (value?.error) throw new Error(`${value.error}: ${value.message}`);
    return value;
  };
}

function freePort() {
  return new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}
