// Addresses of streams, each with a ticket that opens it.

import { answered, api } from './client';
import type { components } from './schema';

async function ticket(body: Partial<components['schemas']['TicketBody']>): Promise<string> {
  return (await answered(api.POST('/v1/stream-tickets', { body }))).url;
}

export const notificationStream = (): Promise<string> => ticket({ stream: 'notifications' });

/** Of all devices; of those that are named the readings too. */
export const deviceStream = (device_id: string[] = []): Promise<string> => ticket({ stream: 'devices', device_id });
