import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import { notLoaded } from '../model/phrases';
import { h } from './jsx';

/** A component whose code is a file of its own, which the browser requests when it is first drawn. */
export class Part<P> {
  constructor(private readonly _import: () => Promise<React.ComponentType<P>>) {}

  /** Null until the code is loaded. */
  get component(): React.ComponentType<P> | null {
    return this._component;
  }

  async load(): Promise<void> {
    this._component ??= await this._import();
  }

  private _component: React.ComponentType<P> | null = null;
}

interface IOnDemandProps<P> {
  part: Part<P>;
  /** The properties of the component. */
  with: P;
  /** Whether the server answers: when it does again, the code is requested again. */
  reachable: boolean;
  trans: TranslationBundle;
}

/** Draws `part`. While its code cannot be loaded, draws an error message and a button instead. */
export function OnDemand<P extends object>(props: IOnDemandProps<P>): JSX.Element | null {
  const { part, reachable, trans } = props;
  const [failed, setFailed] = React.useState(false);
  const [, redraw] = React.useState(0);
  const load = (): void => {
    if (part.component === null) {
      setFailed(false);
      part.load().then(
        () => redraw(1),
        () => setFailed(true)
      );
    }
  };
  React.useEffect(load, [reachable]);
  const Component = part.component;
  if (Component !== null) {
    return <Component {...props.with} />;
  }
  return failed ? (
    <p role="alert" className="jp-AS-line jp-AS-bad">
      {notLoaded(trans)}
      <button className="jp-AS-button" onClick={load}>
        {trans.__('Try again')}
      </button>
    </p>
  ) : null;
}
