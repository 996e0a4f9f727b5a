/** The text of a page of the documentation, in the bundle. */
declare module '*.md' {
  const text: string;
  export default text;
}
