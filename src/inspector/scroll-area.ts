import { noChange } from 'lit';
import { AsyncDirective } from 'lit/async-directive.js';
import { type DirectiveResult, directive, type ElementPart } from 'lit/directive.js';

/**
 * On an element that scrolls: it is a stop of the Tab key while it holds more than it shows, and no stop where arrow keys
 * would move nothing. WebKit lets no keyboard reach a scroll area by itself.
 */
class ScrollArea extends AsyncDirective {
  #element: HTMLElement | undefined;
  #watched: Element | null = null;
  /** Where there is none, as in a DOM made for tests, nothing scrolls either. */
  readonly #observer = globalThis.ResizeObserver && new ResizeObserver(() => this.#look());

  override render(): unknown {
    return noChange;
  }

  override update({ element }: ElementPart): unknown {
    this.#element = element as HTMLElement;
    this.#watch();
    return noChange;
  }

  override disconnected(): void {
    this.#observer?.disconnect();
    this.#watched = null;
  }

  override reconnected(): void {
    this.#watch();
  }

  /** The area, and what grows in it. */
  #watch(): void {
    const content = this.#element?.firstElementChild ?? this.#element ?? null;
    if (!this.#element || !this.isConnected || content === this.#watched) return;
    this.#observer?.disconnect();
    this.#watched = content;
    for (const one of new Set([this.#element, content])) if (one) this.#observer?.observe(one);
  }

  #look(): void {
    const area = this.#element;
    if (!area) return;
    const scrolls = area.scrollHeight > area.clientHeight || area.scrollWidth > area.clientWidth;
    if (scrolls) area.tabIndex = 0;
    else area.removeAttribute('tabindex');
  }
}

export const scrollArea: () => DirectiveResult = directive(ScrollArea);
