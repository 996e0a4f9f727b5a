import { URLExt } from '@jupyterlab/coreutils';
import { ServerConnection } from '@jupyterlab/services';

import type { TranslationBundle } from '@jupyterlab/translation';

import { notLoaded } from '../model/phrases';
import { translated } from '../model/servertexts';
import type { IFaultTexts } from '../model/servertexts';
import type {
  Change,
  IEntry,
  IOutcome,
  IReport,
  ISettingsAnswer,
  IStoppedAnswer,
  IStoppedSession,
  Kind
} from '../model/types';

/** The server answered with an error: its message, what to do, and which field it is about. */
export class RefusedError extends Error {
  constructor(
    message: string,
    readonly status: number,
    readonly field?: string,
    readonly remedy: string = ''
  ) {
    super(message);
  }
}

/** What to tell the user when a request to the server, or for a file with our code, has failed. */
export function failureWords(error: unknown, trans: TranslationBundle): string {
  if (error instanceof RefusedError) {
    return error.message;
  }
  return error instanceof Error && error.name === 'ChunkLoadError'
    ? notLoaded(trans)
    : trans.__('The server does not answer. Nothing was changed.');
}

/** The HTTP contract (rest-api.yml). Every method rejects with a RefusedError when the server
 * answers with an error, and with the error of `fetch` when there is no server. */
export class Api {
  /** `trans` gives the server's errors in the language of the host. */
  constructor(private readonly _trans: TranslationBundle) {}

  private readonly _settings = ServerConnection.makeSettings();

  /** The address of the server; names under which pages of one server share what they store. */
  get baseUrl(): string {
    return this._settings.baseUrl;
  }

  /** `panel`: whether somebody looks at the panel, and not only at the status bar. */
  status(panel: boolean): Promise<IReport> {
    return this._ask<IReport>('GET', panel ? 'status' : 'status?panel=false');
  }

  check(): Promise<IReport> {
    return this._ask<IReport>('POST', 'check', {});
  }

  /** Keep one resource for so many minutes from now; null releases it. `note` is the reason. */
  keep(kind: Kind | 'all', id: string, minutes: number | null, note = ''): Promise<void> {
    if (minutes === null) {
      const query = `?kind=${kind}&id=${encodeURIComponent(id)}`;
      return this._send('DELETE', `keep-alive${query}`);
    }
    return this._send('PUT', 'keep-alive', { kind, id, minutes, note });
  }

  remove(kind: Kind, id: string): Promise<IOutcome> {
    return this._ask<IOutcome>('POST', 'remove', { kind, id });
  }

  settings(): Promise<ISettingsAnswer> {
    return this._ask<ISettingsAnswer>('GET', 'settings');
  }

  patch(change: Change): Promise<ISettingsAnswer> {
    return this._ask<ISettingsAnswer>('PATCH', 'settings', change);
  }

  /** Report that a person uses it. */
  presence(kind: Kind, id: string): Promise<void> {
    return this._send('POST', 'activity', { kind, id });
  }

  /** What was removed before this server started, newest first. */
  async history(limit: number): Promise<IOutcome[]> {
    const answer = await this._ask<{ history: IEntry[] }>('GET', `history?limit=${limit}`);
    return answer.history.map(({ resource, ...rest }) => ({ id: resource, ...rest }));
  }

  /** What can be brought back, without code. */
  stopped(): Promise<IStoppedAnswer> {
    return this._ask<IStoppedAnswer>('GET', 'stopped');
  }

  /** One of these entries, with the code of its cells. */
  stoppedSession(id: string): Promise<IStoppedSession> {
    return this._ask<IStoppedSession>('GET', `stopped?id=${encodeURIComponent(id)}`);
  }

  forgetStopped(id: string): Promise<void> {
    return this._send('DELETE', `stopped?id=${encodeURIComponent(id)}`);
  }

  /** A request to the server's own API: `path` is below `api/`. */
  host<T>(method: string, path: string, body?: object): Promise<T> {
    return this._ask<T>(method, path, body, 'api');
  }

  private async _send(method: string, path: string, body?: object): Promise<void> {
    await this._ask<unknown>(method, path, body);
  }

  private async _ask<T>(
    method: string,
    path: string,
    body?: object,
    below = 'auto-shutdown'
  ): Promise<T> {
    const url = URLExt.join(this._settings.baseUrl, below) + '/' + path;
    const init: RequestInit = { method };
    if (body !== undefined) {
      init.body = JSON.stringify(body);
    }
    const response = await ServerConnection.makeRequest(url, init, this._settings);
    const text = await response.text();
    if (!response.ok) {
      const error = errorOf(text);
      throw new RefusedError(
        translated(error.message_parts, error.message ?? response.statusText, this._trans),
        response.status,
        error.field,
        translated(error.remedy_parts, error.remedy ?? '', this._trans)
      );
    }
    return (text ? JSON.parse(text) : undefined) as T;
  }
}

interface IErrorAnswer extends Partial<IFaultTexts> {
  field?: string;
}

function errorOf(text: string): IErrorAnswer {
  try {
    return JSON.parse(text) as IErrorAnswer;
  } catch {
    return {}; // a proxy's page
  }
}
