import { URLExt } from '@jupyterlab/coreutils';
import { ServerConnection } from '@jupyterlab/services';

import type { Change, IChoices, IEntry, IOutcome, IReport, Kind } from '../model/types';

/** What the server refused, in its own words; `field` is what of the request it means. */
export class RefusedError extends Error {
  constructor(
    message: string,
    readonly status: number,
    readonly field?: string
  ) {
    super(message);
  }
}

/** The HTTP contract (rest-api.yml). Every method rejects with a RefusedError for an answer that
 * is none, and with what `fetch` throws when there is no server. */
export class Api {
  private readonly _settings = ServerConnection.makeSettings();

  /** Where the server is; also tells the pages of one server from those of another. */
  get baseUrl(): string {
    return this._settings.baseUrl;
  }

  /** `panel`: whether somebody sees more of it than a glimpse. */
  status(panel: boolean): Promise<IReport> {
    return this._ask<IReport>('GET', panel ? 'status' : 'status?panel=false');
  }

  check(): Promise<IReport> {
    return this._ask<IReport>('POST', 'check', {});
  }

  /** Keep one thing for so long from now; null releases it. */
  keep(kind: Kind | 'all', id: string, minutes: number | null): Promise<void> {
    if (minutes === null) {
      const query = `?kind=${kind}&id=${encodeURIComponent(id)}`;
      return this._tell('DELETE', `keep-alive${query}`);
    }
    return this._tell('PUT', 'keep-alive', { kind, id, minutes });
  }

  remove(kind: Kind, id: string): Promise<IOutcome> {
    return this._ask<IOutcome>('POST', 'remove', { kind, id });
  }

  choices(): Promise<IChoices> {
    return this._ask<IChoices>('GET', 'settings');
  }

  patch(change: Change): Promise<IChoices> {
    return this._ask<IChoices>('PATCH', 'settings', change);
  }

  /** Say that a person is at work with it. */
  presence(kind: Kind, id: string): Promise<void> {
    return this._tell('POST', 'activity', { kind, id });
  }

  /** What was removed before this server started, newest first. */
  async history(limit: number): Promise<IOutcome[]> {
    const answer = await this._ask<{ history: IEntry[] }>('GET', `history?limit=${limit}`);
    return answer.history.map(({ resource, ...rest }) => ({ id: resource, ...rest }));
  }

  private async _tell(method: string, path: string, body?: object): Promise<void> {
    await this._ask<unknown>(method, path, body);
  }

  private async _ask<T>(method: string, path: string, body?: object): Promise<T> {
    const url = URLExt.join(this._settings.baseUrl, 'auto-shutdown') + '/' + path;
    const init: RequestInit = { method };
    if (body !== undefined) {
      init.body = JSON.stringify(body);
    }
    const response = await ServerConnection.makeRequest(url, init, this._settings);
    const text = await response.text();
    if (!response.ok) {
      const said = parsed(text);
      throw new RefusedError(said.message ?? response.statusText, response.status, said.field);
    }
    return (text ? JSON.parse(text) : undefined) as T;
  }
}

function parsed(text: string): { message?: string; field?: string } {
  try {
    return JSON.parse(text) as { message?: string; field?: string };
  } catch {
    return {}; // a proxy's page
  }
}
