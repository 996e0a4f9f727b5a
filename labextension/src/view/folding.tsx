import * as React from 'react';

import { Icon } from './icons';
import type { IProps } from './props';
import { h } from './jsx';

interface IFoldProps extends IProps {
  /** The name under which the browser stores whether it is folded. */
  fold: string;
  label: React.ReactNode;
  /** The content at the right end of the header. */
  side?: React.ReactNode;
  children: React.ReactNode;
}

export function isFolded({ look }: IProps, fold: string): boolean {
  return look.folded.includes(fold);
}

export function toggleFold(props: IProps, fold: string): void {
  const { look, actions } = props;
  actions.look({
    folded: isFolded(props, fold)
      ? look.folded.filter(name => name !== fold)
      : [...look.folded, fold]
  });
}

/** The button that folds the content below it. */
export function FoldButton(props: Omit<IFoldProps, 'children' | 'side'>): JSX.Element {
  const { fold, label } = props;
  const folded = isFolded(props, fold);
  return (
    <button
      className="jp-AS-fold"
      aria-expanded={!folded}
      data-fold={fold}
      onClick={() => toggleFold(props, fold)}
    >
      <Icon name={folded ? 'caretRight' : 'caretDown'} />
      {label}
    </button>
  );
}

/** A section with a header that folds it. */
export function Section(props: IFoldProps): JSX.Element {
  const { fold, side, children } = props;
  return (
    <section className="jp-AS-section" data-section={fold}>
      <div className="jp-AS-header">
        <h2>
          <FoldButton {...props} />
        </h2>
        {side}
      </div>
      {!isFolded(props, fold) && <div className="jp-AS-body">{children}</div>}
    </section>
  );
}
