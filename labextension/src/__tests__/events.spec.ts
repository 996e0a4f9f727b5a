import type { ServiceManager } from '@jupyterlab/services';
import { Signal } from '@lumino/signaling';
import { describe, expect, it, vi } from 'vitest';

import { listenToServer } from '../behaviour/events';

describe('listenToServer()', () => {
  it('calls back for a change of the report, and ignores other events', () => {
    const stream = new Signal<object, { schema_id?: string }>({});
    const changed = vi.fn();
    listenToServer({ events: { stream } } as unknown as ServiceManager.IManager, changed);
    stream.emit({ schema_id: 'urn:auto-shutdown:event:notice:v1' });
    stream.emit({ schema_id: 'https://events.jupyter.org/jupyter_server/kernel_actions/v1' });
    stream.emit({});
    expect(changed).not.toHaveBeenCalled();
    stream.emit({ schema_id: 'urn:auto-shutdown:event:changed:v1' });
    expect(changed).toHaveBeenCalledTimes(1);
  });

  it('accepts a host without events', () => {
    expect(() =>
      listenToServer({} as unknown as ServiceManager.IManager, () => undefined)
    ).not.toThrow();
  });
});
