import { expect, test } from 'vitest';
import { isWebKit } from '../../src/storage/is-webkit.js';

const MAC = 'Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7)';
const IPHONE = 'Mozilla/5.0 (iPhone; CPU iPhone OS 18_7 like Mac OS X)';
const LINUX = 'Mozilla/5.0 (X11; Linux x86_64)';

test.each([
  ['Safari', `${MAC} AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.1 Safari/605.1.15`],
  ['a view of an iOS app', `${IPHONE} AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148`],
  ['Chrome on iOS', `${IPHONE} AppleWebKit/605.1.15 (KHTML, like Gecko) CriOS/142.0.0.0 Mobile/15E148 Safari/604.1`],
  ['WebKitGTK', `${LINUX} AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.0 Safari/605.1.15`],
])('%s is WebKit', (_, userAgent) => {
  expect(isWebKit(userAgent)).toBe(true);
});

test.each([
  ['Chrome', `${LINUX} AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36`],
  ['Chrome without a window', `${LINUX} AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/142.0.0.0 Safari/537.36`],
  ['Edge', `${LINUX} AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36 Edg/142.0.0.0`],
  ['Firefox', 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0'],
  ['Node', 'Node.js/24'],
  ['a place without a user agent', ''],
])('%s is not', (_, userAgent) => {
  expect(isWebKit(userAgent)).toBe(false);
});
