/** How much the origin uses and may use, as far as the browser tells; for the text of an error. */
export async function quotaFigures(): Promise<string> {
  try {
    const { usage, quota } = await navigator.storage.estimate();
    return `${usage} bytes are used of a quota of ${quota}`;
  } catch {
    return 'the browser does not tell usage and quota';
  }
}
