import * as React from 'react';

import { nullTranslator } from '@jupyterlab/translation';
import { renderToStaticMarkup } from 'react-dom/server';

import { removals } from '../model/removals';
import type { IReport } from '../model/types';
import { h } from '../view/jsx';
import { PanelView } from '../view/panelview';
import type { ILook, IProps } from '../view/props';
import { ACTIONS, NOW, still } from './given';

export const LOOK: ILook = { folded: ['settings'], filtering: false, filter: '', order: 'place' };

/** The panel as HTML. */
export function drawn(
  currentReport: IReport | null,
  { look = LOOK, settings = null, ...more }: Partial<IProps> = {}
): string {
  return renderToStaticMarkup(
    <PanelView
      state={{ report: currentReport, error: null, remedy: '', status: 200, quiet: false }}
      now={currentReport === null ? NOW : Date.parse(currentReport.now)}
      settings={still(settings)}
      look={still(look)}
      announces={false}
      removals={removals(currentReport?.outcomes ?? [], [])}
      returns={{ offer: null, of: () => null, isStarting: () => false }}
      trans={nullTranslator.load('')}
      actions={ACTIONS}
      {...more}
    />
  );
}

/** The text of the page, without tags. */
export function text(html: string): string {
  return html.replace(/<[^>]*>/g, ' ').replace(/\s+/g, ' ');
}
