/** What happens to a page. */
export interface PageListener {
  /** The page goes (closed, navigated away, put in the back/forward cache) or is frozen: the last chance to let go. */
  suspend(): void;
  /** It is back. */
  resume(): void;
  visibility(visible: boolean): void;
}

interface Page extends EventTarget {
  readonly document?: EventTarget & { readonly visibilityState: string };
}

/**
 * Tells the listener what the page's events mean (Page Lifecycle: `pagehide`, `pageshow`, `freeze`, `resume`,
 * `visibilitychange`); the answer stops that. A frozen or cached page would keep its locks, and with them its
 * leadership, which is why both are a `suspend`. Outside of pages nothing ever happens.
 */
export function watchPage(listener: PageListener): () => void {
  const page: Page = globalThis;
  const { document } = page;
  if (document === undefined) return () => {};
  const listening = new AbortController();
  const { signal } = listening;
  page.addEventListener('pagehide', () => listener.suspend(), { signal });
  page.addEventListener('pageshow', (event) => isPersisted(event) && listener.resume(), { signal });
  document.addEventListener('freeze', () => listener.suspend(), { signal });
  document.addEventListener('resume', () => listener.resume(), { signal });
  document.addEventListener('visibilitychange', () => listener.visibility(isPageVisible()), { signal });
  return () => listening.abort();
}

/** True outside of pages. */
export function isPageVisible(): boolean {
  const { document }: Page = globalThis;
  return document?.visibilityState !== 'hidden';
}

/** From the back/forward cache, not from a first load. */
function isPersisted(event: Event): boolean {
  return (event as Event & { readonly persisted?: boolean }).persisted === true;
}
