/**
 * Whether this is WebKit, as Safari and nearly all browsers of iOS are: for what no feature tells. Chromium's user agent
 * says AppleWebKit, too, and adds Chrome.
 */
export function isWebKit(userAgent: string = globalThis.navigator?.userAgent ?? ''): boolean {
  return userAgent.includes('AppleWebKit/') && !/ (Headless)?Chrome\//.test(userAgent);
}
