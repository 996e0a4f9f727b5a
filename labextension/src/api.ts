import { URLExt } from '@jupyterlab/coreutils';
import { ServerConnection } from '@jupyterlab/services';

import type { IReport, ISettings, Kind } from './types';

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

  status(): Promise<IReport> {
    return this._ask<IReport>('GET', 'status');
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

  remove(kind: Kind, id: string): Promise<{ outcome: string; detail: string }> {
    return this._ask('POST', 'remove', { kind, id });
  }

  /** Change settings; null resets one to its default. */
  patch(change: { [name in keyof ISettings]?: ISettings[name] | null }): Promise<void> {
    return this._tell('PATCH', 'settings', change);
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
