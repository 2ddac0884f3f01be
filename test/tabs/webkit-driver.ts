import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { Serial } from '../../src/util/serial.js';
import { startWebKit } from '../browser/webkit-session.mjs';
import type { BrowserDriver, TabDriver, TabListener } from './driver.js';

type Session = Awaited<ReturnType<typeof startWebKit>>;
type Report = (...args: unknown[]) => unknown;
/** Of a call: how it ended, or not yet (null). */
type Answer = { readonly value?: unknown; readonly error?: string } | null;

const ANSWER_LIMIT_MS = 60_000;
const ANSWER_POLL_MS = 25;

/** WebKitGTK. Its tabs are windows: of tabs of one window WebDriver would see the one in front alone. */
export class WebKitDriver implements BrowserDriver {
  readonly #session: Session;
  /** The session ends with its last window: this one is never closed, and has no page. */
  readonly #home: string;
  readonly #reports = new ReportServer();
  /** WebDriver knows one current window. */
  readonly #commands = new Serial();

  private constructor(session: Session, home: string) {
    this.#session = session;
    this.#home = home;
  }

  static async open(driver: string): Promise<BrowserDriver> {
    const session = await startWebKit(driver);
    try {
      const opened = new WebKitDriver(session, (await session.command('GET', '/window')) as string);
      await opened.#reports.listen();
      return opened;
    } catch (error) {
      await session.stop();
      throw error;
    }
  }

  async newTab(listener: TabListener): Promise<TabDriver> {
    const { handle } = (await this.#in(this.#home, 'POST', '/window/new', { type: 'window' })) as { handle: string };
    const report = { address: this.#reports.addressOf(listener), names: Object.keys(listener.reports) };
    return new WebKitTab((method, path, body) => this.#in(handle, method, path, body), report);
  }

  #in(handle: string, method: string, path: string, body?: unknown): Promise<unknown> {
    return this.#commands.run(async () => {
      await this.#session.command('POST', '/window', { handle });
      return this.#session.command(method, path, body);
    });
  }

  async close(): Promise<void> {
    await this.#session.stop();
    this.#reports.close();
  }
}

class WebKitTab implements TabDriver {
  readonly #command: (method: string, path: string, body?: unknown) => Promise<unknown>;
  readonly #report: ReportTo;
  #calls = 0;

  constructor(command: (method: string, path: string, body?: unknown) => Promise<unknown>, report: ReportTo) {
    this.#command = command;
    this.#report = report;
  }

  async goto(url: string): Promise<void> {
    await this.#command('POST', '/url', { url });
  }

  /** Begun, and then asked for: a command that waited would hold up those of all other tabs. */
  async evaluate<Args extends readonly unknown[], Result>(
    call: (...args: Args) => Result,
    ...args: Args
  ): Promise<Awaited<Result>> {
    const id = `call-${++this.#calls}`;
    await this.#execute(`(${prepare})(arguments[0])`, this.#report);
    await this.#execute(`(${begin})(arguments[0], () => (${call})(...arguments[1]))`, id, args);
    const endMs = Date.now() + ANSWER_LIMIT_MS;
    for (;;) {
      const answer = (await this.#execute(`return (${takeAnswer})(arguments[0])`, id)) as Answer;
      if (answer?.error !== undefined) throw new Error(answer.error);
      if (answer !== null) return answer.value as Awaited<Result>;
      if (Date.now() > endMs) throw new Error(`no answer within ${ANSWER_LIMIT_MS} ms to ${call} of ${args}`);
      await new Promise((resolve) => setTimeout(resolve, ANSWER_POLL_MS));
    }
  }

  async goBack(): Promise<void> {
    await this.#command('POST', '/back', {});
  }

  async close(): Promise<void> {
    await this.#command('DELETE', '/window');
  }

  #execute(script: string, ...args: unknown[]): Promise<unknown> {
    return this.#command('POST', '/execute/sync', { script, args });
  }
}

interface ReportTo {
  readonly address: string;
  readonly names: readonly string[];
}

interface DrivenWindow {
  answers?: Map<string, Answer>;
}

// These run in the page, carried there by their text.

/** What the pages of other browsers find there from the beginning; also anew where the page is another by now. */
function prepare({ address, names }: ReportTo): void {
  const driven = window as unknown as DrivenWindow & Record<string, unknown>;
  if (driven.answers !== undefined) return;
  driven.answers = new Map();
  const reportAs =
    (name: string): Report =>
    async (...args) => {
      for (;;) {
        try {
          await fetch(address + name, { method: 'POST', body: JSON.stringify(args) });
          return;
        } catch {
          // Cut off by the back/forward cache.
          await new Promise((resolve) => setTimeout(resolve, 50));
        }
      }
    };
  for (const name of names) driven[name] = reportAs(name);
  const uncaught = reportAs('uncaught');
  addEventListener('error', ({ message }) => uncaught(message));
  addEventListener('unhandledrejection', ({ reason }) => uncaught(String(reason)));
}

function begin(id: string, call: () => unknown): void {
  const { answers } = window as unknown as Required<DrivenWindow>;
  answers.set(id, null);
  (async () => call())().then(
    (value) => answers.set(id, { value }),
    (error) => answers.set(id, { error: String(error) }),
  );
}

function takeAnswer(id: string): Answer {
  const { answers } = window as unknown as DrivenWindow;
  const answer = answers?.get(id);
  if (answer === undefined) return { error: 'the page went away before it answered' };
  if (answer !== null) answers?.delete(id);
  return answer;
}

/** Where pages post what they report, and are answered once it is heard. */
class ReportServer {
  readonly #listeners: TabListener[] = [];
  readonly #server: Server = createServer((request, response) => {
    response.setHeader('access-control-allow-origin', '*');
    this.#hear(request).then(
      () => response.end(),
      (error) => response.writeHead(500).end(String(error)),
    );
  });

  async listen(): Promise<void> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
  }

  addressOf(listener: TabListener): string {
    const index = this.#listeners.push(listener) - 1;
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/${index}/`;
  }

  async #hear(request: IncomingMessage): Promise<void> {
    const [, index, name = ''] = request.url?.split('/') ?? [];
    const listener = this.#listeners[Number(index)];
    if (listener === undefined || request.method !== 'POST') return;
    const body = await text(request).catch(() => undefined); // undefined: the page went, and says it again
    if (body === undefined) return;
    const reports = { ...listener.reports, uncaught: listener.uncaught } as unknown as Readonly<Record<string, Report>>;
    await reports[name]?.(...(JSON.parse(body) as unknown[]));
  }

  close(): void {
    this.#server.closeAllConnections();
    this.#server.close();
  }
}
