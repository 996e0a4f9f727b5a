// @vitest-environment happy-dom

/** The panel on a host without SageMaker: it has no instances, apps, administrators and money. */

import { nullTranslator } from '@jupyterlab/translation';
import { flushSync } from 'react-dom';
import { createRoot } from 'react-dom/client';
import { afterEach, beforeAll, describe, expect, it, vi } from 'vitest';

import type { IResource } from '../model/types';
import { h } from '../view/jsx';
import { PanelView, SETTINGS } from '../view/panelview';
import { ACTIONS, NOW, active, at, report, resource, still } from './given';
import { LOOK } from './drawn';

vi.mock('@jupyterlab/ui-components', () => import('./hosticons'));

beforeAll(() => SETTINGS.load());
afterEach(() => document.body.replaceChildren());

const CASES = ['cell', 'command', 'refused', 'low-use'];

/** A resource of the rule `max_busy_minutes`. */
function suspect(id: string, more: Partial<IResource> = {}): IResource {
  return active('suspect-busy', {
    id,
    paths: [`${id}.ipynb`],
    rule: 'max_busy_minutes',
    parameters: { case: id, silent_since: at(-600) },
    ...more
  });
}

/** The panel with all sections, the filter and the details of each row, as HTML. */
function unfolded(platform: string): string {
  const due = { reason: 'max-busy', idle_since: at(-600), due_at: at(60), limit_minutes: 660 };
  const found = report(
    resource({ paths: ['a.ipynb'] }),
    ...CASES.map(id => suspect(id)),
    suspect('due', due)
  );
  found.platform.kind = platform;
  const { locked, limits, ...values } = found.policy;
  const settings = { settings: values, user: {}, defaults: values, limits, locked };
  const node = document.body.appendChild(document.createElement('div'));
  flushSync(() =>
    createRoot(node).render(
      <PanelView
        state={{ report: found, error: null, remedy: '', status: 200, quiet: false }}
        now={NOW}
        settings={still(settings)}
        look={still({ ...LOOK, folded: [], filtering: true })}
        announces={false}
        removals={[]}
        returns={{ offer: null, of: () => null, isStarting: () => false }}
        trans={nullTranslator.load('')}
        actions={ACTIONS}
      />
    )
  );
  const words = node.querySelectorAll<HTMLElement>('.jp-AS-word');
  words.forEach(word => flushSync(() => word.click()));
  expect(node.querySelectorAll('.jp-AS-details')).toHaveLength(CASES.length + 2);
  // Keep the texts and the attributes that people read: names, titles and placeholders.
  return node.innerHTML.replace(/ (class|id|for|value|type|role|d|data-[\w-]+)="[^"]*"/g, '');
}

const OF_SAGEMAKER = /administrator|instance|\bapps?\b|\$|Saved this/i;

describe('the panel with all details', () => {
  it('leaves out instances, apps, administrators and money on a plain host', () => {
    const html = unfolded('local');
    expect(html).not.toMatch(OF_SAGEMAKER);
    // Once in the tooltip of each row, and once in its details.
    expect(html.match(/the server setting max_busy_minutes can limit this/g)).toHaveLength(
      2 * CASES.length
    );
    expect(html).toContain('(the limit for busy kernels)');
    expect(html).toContain('Filter by name or folder');
    expect(html).toContain('in the usual order');
  });

  it('names the administrator and apps in SageMaker', () => {
    const html = unfolded('studio-classic');
    expect(html).toContain('an administrator can limit this with max_busy_minutes');
    expect(html).toContain("(the administrator's limit for busy kernels)");
    expect(html).toContain('Filter by name, folder, app or instance type');
  });
});
