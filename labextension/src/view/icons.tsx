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

/** Icons that no host has under the same name in every version. */
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

/** An icon of the host; nothing if an old host does not have it. */
export function Icon({ name }: { name: keyof typeof ICONS }): JSX.Element {
  return <HostIcon icon={ICONS[name]} />;
}

/** The icon of a notebook, kernel, terminal or app. */
export function KindIcon({ resource }: { resource: IResource }): JSX.Element {
  const kernel = resource.paths.length > 0 ? notebookIcon : kernelIcon;
  const icons = { kernel, terminal: terminalIcon, app: launcherIcon };
  return <HostIcon icon={icons[resource.kind]} />;
}

function HostIcon({ icon }: { icon: LabIcon | undefined }): JSX.Element | null {
  return icon === undefined ? null : (
    <span className="jp-AS-svg" aria-hidden="true">
      <icon.react tag="span" width="14px" height="14px" />
    </span>
  );
}
