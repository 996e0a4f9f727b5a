import * as React from 'react';

import {
  LabIcon,
  caretDownIcon,
  caretRightIcon,
  kernelIcon,
  launcherIcon,
  notebookIcon,
  refreshIcon,
  searchIcon,
  settingsIcon,
  terminalIcon,
  undoIcon
} from '@jupyterlab/ui-components';

import type { IResource } from '../model/types';
import { h } from './jsx';

/** A switch that is off. */
export const panelIcon = new LabIcon({
  name: 'auto-shutdown:icon',
  svgstr:
    '<svg xmlns="http://www.w3.org/2000/svg" width="16" viewBox="0 0 24 24">' +
    '<path class="jp-icon3" fill="#616161" d="M12 3a1.2 1.2 0 0 1 1.2 1.2v7a1.2 1.2 0 0 1-2.4 0v-7A1.2 1.2 ' +
    '0 0 1 12 3zm5.2 2.6a1.2 1.2 0 0 1 1.7 0 9 9 0 1 1-13.8 0 1.2 1.2 0 1 1 1.8 1.6 6.6 6.6 0 1 0 10.2 ' +
    '0 1.2 1.2 0 0 1 .1-1.6z"/></svg>'
});

/** No host has one under the same name in every version. */
export const helpIcon = new LabIcon({
  name: 'auto-shutdown:help',
  svgstr:
    '<svg xmlns="http://www.w3.org/2000/svg" width="16" viewBox="0 0 24 24">' +
    '<path class="jp-icon3" fill="#616161" d="M12 2a10 10 0 1 0 0 20 10 10 0 0 0 0-20zm0 18a8 8 0 1 1 ' +
    '0-16 8 8 0 0 1 0 16zm-1-4h2v2h-2zm1-10a4 4 0 0 0-4 4h2a2 2 0 1 1 4 0c0 2-3 1.8-3 5h2c0-2.2 ' +
    '3-2.5 3-5a4 4 0 0 0-4-4z"/></svg>'
});

const ICONS = {
  caretDown: caretDownIcon,
  caretRight: caretRightIcon,
  refresh: refreshIcon,
  search: searchIcon,
  settings: settingsIcon,
  undo: undoIcon,
  help: helpIcon
};

/** An icon of the host; nothing where an old host lacks it. */
export function Icon({ name }: { name: keyof typeof ICONS }): JSX.Element {
  return <HostIcon icon={ICONS[name]} />;
}

/** The icon of a notebook, kernel, terminal or app. */
export function KindIcon({ resource }: { resource: IResource }): JSX.Element {
  const kernel = resource.paths.length > 0 ? notebookIcon : kernelIcon;
  const icons = { kernel, terminal: terminalIcon, app: launcherIcon };
  return <HostIcon icon={icons[resource.kind]} />;
}

function HostIcon({ icon }: { icon: LabIcon | undefined }): JSX.Element {
  return icon === undefined ? (
    <></>
  ) : (
    <span className="jp-AS-svg" aria-hidden="true">
      <icon.react tag="span" width="14px" height="14px" />
    </span>
  );
}
