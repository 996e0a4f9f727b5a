import type { ServiceManager } from '@jupyterlab/services';

/** The schema of the event that says that the report has changed, in any version
 * (auto_shutdown/api/event_schemas/changed.yaml). */
const CHANGED = 'urn:auto-shutdown:event:changed:';

interface IEvent {
  schema_id?: string;
}

interface IStream {
  connect(slot: (sender: unknown, event: IEvent) => void): void;
}

/**
 * Calls `changed` for each event of the server that says that its report has changed. Hosts before
 * JupyterLab 4 have no event stream; there the panel only polls.
 */
export function listenToServer(manager: ServiceManager.IManager, changed: () => void): void {
  const { events } = manager as unknown as { events?: { stream?: IStream } };
  events?.stream?.connect((_, event) => {
    if (event.schema_id?.startsWith(CHANGED)) {
      changed();
    }
  });
}
