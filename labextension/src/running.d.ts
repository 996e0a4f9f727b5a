/** What we use of the host's package for its "Running" panel; see notebook.d.ts. */
declare module '@jupyterlab/running' {
  import type { Token } from '@lumino/coreutils';

  interface IManagers {
    add(manager: object): unknown;
  }
  export const IRunningSessionManagers: Token<IManagers>;
}
