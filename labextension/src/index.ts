import {
  JupyterFrontEnd,
  JupyterFrontEndPlugin
} from '@jupyterlab/application';

/**
 * The part in the browser. Nothing of the shutdown depends on it: the server
 * acts alone, with every tab closed. For now it only says that it is there.
 */
const plugin: JupyterFrontEndPlugin<void> = {
  id: 'jupyterlab-auto-shutdown:plugin',
  autoStart: true,
  activate: (_app: JupyterFrontEnd): void => {
    console.debug('jupyterlab-auto-shutdown is activated.');
  }
};

export default plugin;
