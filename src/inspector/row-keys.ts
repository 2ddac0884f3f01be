/** On a list whose rows have one button each: arrow keys, Home and End go from row to row, as Tab does. */
export function moveByKeys(pressed: KeyboardEvent): void {
  const list = pressed.currentTarget as HTMLElement;
  const buttons = [...list.querySelectorAll<HTMLButtonElement>('tbody button.link')];
  const at = buttons.indexOf(pressed.target as HTMLButtonElement);
  if (at < 0 || pressed.altKey || pressed.ctrlKey || pressed.metaKey || pressed.shiftKey) return;
  const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: buttons.length - 1 }[pressed.key];
  if (to === undefined) return;
  pressed.preventDefault(); // the rows scroll as the focus asks for
  buttons[to]?.focus();
}
