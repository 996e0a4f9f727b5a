import { createElement } from 'react';

/**
 * What JSX compiles to: `createElement`, under a name that the build can shorten (some 200 calls,
 * 3 KB of the bundle). A button without a type gets `button`: it submits no form.
 */
export const h = ((type: 'button', props: object | null, ...children: string[]) =>
  createElement(
    type,
    type === 'button' ? { type, ...props } : props,
    ...children
  )) as unknown as typeof createElement;
