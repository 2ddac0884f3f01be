import type { Page } from 'puppeteer-core';
import type { TabReports } from './page/tab-api.js';

/** What a tab tells the tests. */
export interface TabListener {
  /** By name: what the tab's pages find as functions of their window. */
  readonly reports: TabReports;
  /** What no code of its pages caught, rejections included. */
  uncaught(error: string): void;
}

/** One browser, whose tabs share one profile, in the words of whatever drives it. */
export interface BrowserDriver {
  newTab(listener: TabListener): Promise<TabDriver>;
  /** Leaves no process behind. */
  close(): Promise<void>;
}

export interface TabDriver {
  /** undefined where it is not puppeteer that drives. */
  readonly page?: Page;
  /** Resolves when the page is loaded. */
  goto(address: string): Promise<void>;
  /** Calls in the page what it carries there by its text; settles as that does. */
  evaluate<Args extends readonly unknown[], Result>(
    call: (...args: Args) => Result,
    ...args: Args
  ): Promise<Awaited<Result>>;
  /** In the history. May settle before the page is there, or not at all. */
  goBack(): Promise<void>;
  close(): Promise<void>;
}
