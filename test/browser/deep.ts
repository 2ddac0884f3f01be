import { assert } from 'chai';

/** All elements of a tree that match, those in shadow roots too, in the order of the page. */
export function deepAll<E extends HTMLElement = HTMLElement>(root: ParentNode | null, selector: string): E[] {
  if (!root) return [];
  return [...root.querySelectorAll<E>('*')].flatMap((element) => [
    ...(element.matches(selector) ? [element] : []),
    ...deepAll<E>(element.shadowRoot, selector),
  ]);
}

/** What has the focus, in whichever shadow root. */
export function deepActiveElement(): Element | null {
  let active = document.activeElement;
  while (active?.shadowRoot?.activeElement) active = active.shadowRoot.activeElement;
  return active;
}

/** As a person reads it: one line. */
export function textOf(element: HTMLElement | undefined): string {
  return (element?.innerText ?? '').replace(/\s+/g, ' ').trim();
}

/** An assertion about the elements themselves would print them, with all that they lead to. */
export function isFocused(element: Element | null | undefined, when = ''): void {
  const found = deepActiveElement();
  assert.isTrue(found === element, `focus expected on ${element?.outerHTML}, found on ${found?.outerHTML} ${when}`);
}
