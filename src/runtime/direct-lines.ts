import type { Lines, LinesEnd } from './runtime.js';

type OnMessage = Parameters<Lines['open']>[1];

/** What the introducer understands; see `introducer.ts`. A port that is handed on comes with the name of its sender. */
type Introduction = { readonly join: string } | { readonly to: string } | { readonly gone: string };

/** A line that we have dialled. */
interface Peer {
  readonly dialled: MessagePort;
  /** The other end has answered. */
  isUp: boolean;
}

/** Said over a line once, by the one who was dialled. */
const UP = null;
/** So often in vain: the introducer may have died with the tab it ran in. From then on a new one after twice as many. */
const PATIENCE = 64;

/** Lines of MessagePorts. `introducer` gives a new way to the one that hands on ports, if there is one. */
export function directLines(introducer: () => Promise<MessagePort | undefined>): Lines {
  return { open: (name, onMessage) => new DirectLinesEnd(name, onMessage, introducer) };
}

class DirectLinesEnd implements LinesEnd {
  readonly #name: string;
  readonly #onMessage: OnMessage;
  readonly #newIntroducer: () => Promise<MessagePort | undefined>;
  readonly #peers = new Map<string, Peer>();
  readonly #accepted = new Map<string, MessagePort>();
  #introducer: MessagePort | undefined;
  #isJoining = false;
  #isClosed = false;
  /** How often a line was wanted since one was made. */
  #inVain = 0;

  constructor(name: string, onMessage: OnMessage, introducer: () => Promise<MessagePort | undefined>) {
    this.#name = name;
    this.#onMessage = onMessage;
    this.#newIntroducer = introducer;
  }

  join(): void {
    // Each time twice as long: where no line ever comes up, whoever sends would pay for a message more.
    if (!Number.isInteger(Math.log2(++this.#inVain))) return;
    if (this.#inVain >= PATIENCE) this.#leave();
    // Somebody may have told it that we are gone.
    if (this.#introducer !== undefined) this.#tell({ join: this.#name });
    else if (!this.#isJoining) void this.#join();
  }

  post(to: string, message: unknown): boolean {
    const peer = this.#peers.get(to);
    if (peer?.isUp) {
      peer.dialled.postMessage(message);
      return true;
    }
    this.join();
    if (!this.#peers.has(to)) this.#dial(to);
    return false;
  }

  drop(to: string): void {
    this.#hangUp(to);
    this.#tell({ gone: to });
  }

  close(): void {
    this.#isClosed = true;
    for (const name of [...this.#peers.keys(), ...this.#accepted.keys()]) this.#hangUp(name);
    this.#tell({ gone: this.#name });
    this.#leave();
  }

  #hangUp(to: string): void {
    this.#peers.get(to)?.dialled.close();
    this.#peers.delete(to);
    this.#accepted.get(to)?.close();
    this.#accepted.delete(to);
  }

  /** Also gives up what waits for the introducer. */
  #leave(): void {
    for (const [to, { isUp, dialled }] of this.#peers) {
      if (isUp) continue;
      dialled.close();
      this.#peers.delete(to);
    }
    this.#introducer?.close();
    this.#introducer = undefined;
    this.#isJoining = false;
  }

  async #join(): Promise<void> {
    this.#isJoining = true;
    const introducer = await this.#newIntroducer().catch(() => undefined); // it cannot be loaded
    if (introducer === undefined) return; // nor will there be one the next time
    if (this.#isClosed || this.#introducer !== undefined) return introducer.close();
    this.#introducer = introducer;
    const join = (): void => this.#tell({ join: this.#name });
    introducer.onmessage = ({ data: from, ports: [port] }: MessageEvent<string>) => {
      if (port) this.#accept(from, port);
      else if (!this.#isClosed) join(); // somebody told it that we are gone
    };
    join();
  }

  #dial(to: string): void {
    if (this.#introducer === undefined) return; // the next message dials
    const { port1, port2 } = new MessageChannel();
    const peer: Peer = { dialled: port1, isUp: false };
    this.#peers.set(to, peer);
    this.#listen(port1, () => {
      peer.isUp = true;
      this.#inVain = 0;
    });
    this.#tell({ to }, port2);
  }

  #accept(from: string, port: MessagePort): void {
    this.#inVain = 0;
    this.#accepted.get(from)?.close();
    this.#accepted.set(from, port);
    this.#listen(port, () => {});
    port.postMessage(UP);
  }

  #listen(port: MessagePort, onUp: () => void): void {
    const reply = (message: unknown): void => port.postMessage(message);
    port.onmessage = ({ data }: MessageEvent<unknown>) => {
      if (this.#isClosed) return;
      if (data === UP) onUp();
      else this.#onMessage(data, reply);
    };
  }

  #tell(introduction: Introduction, ...ports: readonly MessagePort[]): void {
    this.#introducer?.postMessage(introduction, [...ports]);
  }
}
