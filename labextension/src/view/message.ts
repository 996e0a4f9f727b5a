import type { BoxPanel } from '@lumino/widgets';
import { Widget } from '@lumino/widgets';

import type { IButton } from './props';

/** A message above a document, as high as its text needs. */
export class Message extends Widget {
  /** `close` null: the user cannot close it. */
  constructor(sentences: string[], buttons: IButton[], close: IButton | null) {
    super();
    this.addClass('jp-AS-message');
    this.node.setAttribute('role', 'status');
    this._inner.className = 'jp-AS-messageInner';
    this.text = sentences.join(' ');
    this._inner.append(this._text, ...buttons.map(button));
    if (close !== null) {
      const cross = button(close);
      cross.setAttribute('aria-label', close.label);
      cross.title = close.label;
      cross.textContent = '×';
      cross.classList.add('jp-AS-close');
      this._inner.append(cross);
    }
    this.node.append(this._inner);
    // Lumino lays widgets out by their least height, which depends on the width that they get.
    this._observer.observe(this._inner);
  }

  set text(text: string) {
    this._text.textContent = text;
  }

  /** Show it in the header of a document, or of whatever else is in the main area. */
  attachTo(widget: Widget): void {
    const header = (widget as Widget & { contentHeader?: BoxPanel }).contentHeader;
    if (header !== undefined) {
      header.addWidget(this);
    } else {
      widget.node.prepend(this.node); // JupyterLab 3.1 has no header there
    }
  }

  dispose(): void {
    this._observer.disconnect();
    super.dispose();
    this.node.remove();
  }

  private readonly _text = document.createElement('p');
  private readonly _inner = document.createElement('div');
  private readonly _observer = new ResizeObserver(() => {
    const height = `${this._inner.offsetHeight}px`;
    if (!this.isDisposed && this.node.style.minHeight !== height) {
      this.node.style.minHeight = height;
      this.parent?.fit();
    }
  });
}

function button({ label, press }: IButton): HTMLButtonElement {
  const node = document.createElement('button');
  node.type = 'button';
  node.className = 'jp-AS-button';
  node.textContent = label;
  node.addEventListener('click', press);
  return node;
}
