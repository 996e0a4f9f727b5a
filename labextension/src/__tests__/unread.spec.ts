/** What the panel says about lists that are not current: nothing that nobody knows. */

import { describe, expect, it, vi } from 'vitest';

import type { IReport, IResource } from '../model/types';
import { digest } from '../model/report';
import { drawn, text } from './drawn';
import { APP, report, resource } from './given';

vi.mock('@jupyterlab/ui-components', () => import('./hosticons'));

const WAITS = { apps: 'NotListedYet' };
const FAILED = { apps: 'AccessDeniedException' };
/** In an app that the list does not contain: it is newer than the list. */
const NEW = resource({ id: 'new', app: 'KernelGateway/new', app_known: true });
const ANYWHERE = resource({ id: 'anywhere', app: null, app_known: false });
const ON_HOST = resource({ id: 'host', app: null, app_known: true });
const IN_APP = resource({ id: 'in', app: APP.id, app_known: true });

interface ICase {
  unread: { [source: string]: string };
  rows: IResource[];
  kind?: string;
  says: string[];
  never: string[];
}

/** Claims that only a list which was read can support. */
const CLAIMS = ['Nothing is running', 'nothing is billed', ' Free ', 'instance'];

const CASES: { [name: string]: ICase } = {
  'no list of apps yet, nothing else': {
    unread: WAITS,
    rows: [],
    says: ['SageMaker has not sent the list of apps yet', 'Waiting for the list of apps'],
    never: CLAIMS
  },
  'no list of apps yet, a kernel': {
    unread: WAITS,
    rows: [ANYWHERE],
    says: ['Waiting for the list of apps', ' Running '],
    never: CLAIMS
  },
  'no list of apps yet, a kernel whose app is known': {
    unread: WAITS,
    rows: [NEW],
    says: ['Waiting for the list of apps', ' Running '],
    never: CLAIMS
  },
  'apps that cannot be listed': {
    unread: FAILED,
    rows: [],
    says: ['The list of apps could not be read'],
    never: ['Nothing is running', 'nothing is billed', ' Free ']
  },
  'a list that is older than an app': {
    unread: {},
    rows: [NEW],
    says: ['0 instances · more may be billed', ' Running '],
    never: ['nothing is billed', ' Free ']
  },
  'a kernel in an app that nobody knows, beside a listed one': {
    unread: {},
    rows: [ANYWHERE, IN_APP, APP],
    says: ['1 instance · $1.41/h · more may be billed', ' Running '],
    never: [' Free ']
  },
  'kernels that cannot be listed': {
    unread: { kernels: 'TimedOut' },
    rows: [],
    says: ['What is running is not known.'],
    never: ['Nothing is running', 'nothing is billed']
  },
  'terminals that cannot be listed, on a plain host': {
    unread: { terminals: 'TimedOut' },
    rows: [],
    kind: 'local',
    says: ['What is running is not known.'],
    never: ['Nothing is running', 'app', 'instance']
  },
  'before the first pass': {
    unread: { kernels: 'NotListedYet', terminals: 'NotListedYet', apps: 'NotListedYet' },
    rows: [],
    says: ['Looking at what is running…'],
    never: CLAIMS
  },
  'everything was listed: a kernel on the host': {
    unread: {},
    rows: [ON_HOST],
    says: ['0 instances', ' Free '],
    never: ['more may be billed', 'Waiting']
  },
  'everything was listed: a kernel in an app': {
    unread: {},
    rows: [IN_APP, APP],
    says: ['1 instance · $1.41/h'],
    never: ['more may be billed', 'Waiting']
  },
  'everything was listed: nothing': {
    unread: {},
    rows: [],
    says: ['Nothing is running, and nothing is billed as far as this server can see.'],
    never: ['Waiting', 'not known']
  }
};

function reported({ unread, rows, kind = 'studio-classic' }: ICase): IReport {
  return { ...report(...rows), unread, platform: { kind } };
}

/** The panel without the sections that are not about what runs now. */
function shown(given: ICase): string {
  return text(drawn(reported(given))).replace(/Recently stopped.*/, '');
}

describe('the panel', () => {
  it.each(Object.entries(CASES))('%s', (_, given) => {
    const words = shown(given);
    expect(given.says.filter(part => !words.includes(part))).toEqual([]);
    expect(given.never.filter(part => words.includes(part))).toEqual([]);
  });

  it('reads the report of an older server, which does not say what is unread', () => {
    const older = report(resource({ app: APP.id }), APP);
    expect(text(drawn(older))).toContain('1 instance · $1.41/h');
  });

  it('is drawn again when a list arrives', () => {
    const waits = { ...report(), unread: WAITS };
    expect(digest(waits)).not.toBe(digest({ ...report(), unread: {} }));
  });
});
