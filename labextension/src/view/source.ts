import type { ISignal } from '@lumino/signaling';
import * as React from 'react';

/** A value that changes, and a signal for each change. */
export interface ISource<T> {
  readonly value: T;
  readonly changed: ISignal<unknown, void>;
}

/**
 * The value of `source` as React state. React draws a change of it before the event that caused the
 * change ends.
 *
 * A posted update of the widget comes too late for a field that shows such a value: until then React
 * puts the old text back into the field, and the next key is typed after the old text.
 *
 * With `ready`, a change is drawn once the promise of `ready` is resolved.
 */
export function useSource<T>(source: ISource<T>, ready?: () => Promise<void>): T {
  const [value, setValue] = React.useState(source.value);
  React.useEffect(() => {
    const take = (): void => setValue(source.value);
    const onChange = (): void => {
      if (ready === undefined) {
        take();
      } else {
        void ready().then(take);
      }
    };
    source.changed.connect(onChange);
    take(); // it may have changed since the first drawing
    return () => {
      source.changed.disconnect(onChange);
    };
  }, [source]);
  return value;
}
