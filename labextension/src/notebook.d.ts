/**
 * What we use of the host's notebook package. Each host brings its own version of it, so the bundle
 * holds neither the package nor its types.
 */
declare module '@jupyterlab/notebook' {
  export namespace NotebookActions {
    /** Run the selected cells. Resolves to false when one of them failed. */
    function run(notebook: unknown, session?: unknown): Promise<boolean>;
    /** Insert a cell below the active one, and make it the active one. */
    function insertBelow(notebook: unknown): void;
    function changeCellType(notebook: unknown, type: 'code'): void;
  }
}
