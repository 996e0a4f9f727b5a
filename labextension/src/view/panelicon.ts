import { LabIcon } from '@jupyterlab/ui-components';

/** The icon of the panel: a switch that is off. */
export const panelIcon = new LabIcon({
  name: 'auto-shutdown:icon',
  svgstr:
    '<svg xmlns="http://www.w3.org/2000/svg" width="16" viewBox="0 0 24 24">' +
    '<path class="jp-icon3" fill="#616161" d="M12 3a1.2 1.2 0 0 1 1.2 1.2v7a1.2 1.2 0 0 1-2.4 0v-7A1.2 1.2 ' +
    '0 0 1 12 3zm5.2 2.6a1.2 1.2 0 0 1 1.7 0 9 9 0 1 1-13.8 0 1.2 1.2 0 1 1 1.8 1.6 6.6 6.6 0 1 0 10.2 ' +
    '0 1.2 1.2 0 0 1 .1-1.6z"/></svg>'
});
