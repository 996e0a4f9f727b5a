import { createElement } from 'react';

/** What JSX compiles to. A name of our own, because it can be shortened; `React.createElement`,
 * some 200 times, would make the bundle 3 KB larger. */
export const h = createElement;
