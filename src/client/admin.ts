import type { Admin, AdminConfig } from './api/admin.js';
import type { ClientContext } from './client-context.js';
import { KafkaJSNotImplemented } from './errors.js';

export function makeAdmin(_context: ClientContext, _config: AdminConfig): Admin {
  throw new KafkaJSNotImplemented('admin');
}
