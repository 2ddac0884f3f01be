// What pages meet where a person, a policy or a private window denies storage. The name of the worker chooses how.
// To be imported before anything that looks for IndexedDB.

const DENIALS: Readonly<Record<string, PropertyDescriptor>> = {
  'there is none': { value: undefined },
  'reading the property throws': {
    get() {
      throw new DOMException('Access is denied for this document', 'SecurityError');
    },
  },
  'open throws': {
    value: {
      open() {
        throw new DOMException('The operation is insecure', 'SecurityError');
      },
    },
  },
  // Firefox's private windows before version 115.
  'open fails': {
    value: {
      open() {
        const error = new DOMException('A mutation operation was attempted on a database', 'InvalidStateError');
        const request = Object.setPrototypeOf(new EventTarget(), IDBOpenDBRequest.prototype) as EventTarget;
        queueMicrotask(() => request.dispatchEvent(new Event('error')));
        return Object.defineProperties(request, { error: { value: error }, onupgradeneeded: { writable: true } });
      },
    },
  },
};

Object.defineProperty(globalThis, 'indexedDB', { configurable: true, ...DENIALS[self.name] });
