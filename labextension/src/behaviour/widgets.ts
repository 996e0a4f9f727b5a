import type { JupyterFrontEnd } from '@jupyterlab/application';
import type { ISessionContext } from '@jupyterlab/apputils';
import type { DocumentRegistry } from '@jupyterlab/docregistry';
import type { Widget } from '@lumino/widgets';

import type { Kind } from '../model/types';

/**
 * The members of a widget of the main area that this extension reads. It checks that they exist,
 * and not the class of the widget. So it works with notebooks, consoles, editors and terminals of
 * every version of the host.
 */
interface IShape {
  context?: DocumentRegistry.Context;
  sessionContext?: ISessionContext;
  content?: { session?: { name?: string } };
}

/** The widgets of the main area. Lumino 1 (JupyterLab 3) has iterators of its own kind. */
export function mainWidgets(shell: JupyterFrontEnd.IShell): Widget[] {
  const found = shell.widgets('main') as unknown as Iterable<Widget> & { next(): unknown };
  if (typeof found[Symbol.iterator] === 'function') {
    return [...found];
  }
  const widgets: Widget[] = [];
  for (let widget = found.next(); widget !== undefined; widget = found.next()) {
    widgets.push(widget as Widget);
  }
  return widgets;
}

/** The document in a widget, if there is one. */
export function contextOf(widget: Widget): DocumentRegistry.Context | null {
  const context = (widget as Widget & IShape).context;
  return context !== undefined && typeof context.save === 'function' ? context : null;
}

/** The session of a notebook or console. */
export function sessionOf(widget: Widget): ISessionContext | null {
  const shape = widget as Widget & IShape;
  return shape.sessionContext ?? contextOf(widget)?.sessionContext ?? null;
}

export function kernelOf(widget: Widget): string | null {
  return sessionOf(widget)?.session?.kernel?.id ?? null;
}

/** The kernel or terminal that a person in this widget uses. */
export function usedIn(widget: Widget): { kind: Kind; id: string } | null {
  const kernel = kernelOf(widget);
  if (kernel !== null) {
    return { kind: 'kernel', id: kernel };
  }
  const shape = widget as Widget & IShape;
  const terminal = contextOf(widget) === null ? shape.content?.session?.name : undefined;
  return typeof terminal === 'string' ? { kind: 'terminal', id: terminal } : null;
}

/** Start a new kernel for a document: `kernel`, or one of the kernelspec that it had. */
export async function restart(
  session: ISessionContext,
  kernel: { id?: string; name?: string } = {}
): Promise<void> {
  // The host may not have noticed yet that the old one is gone.
  await session.sessionManager.refreshRunning();
  const name = session.prevKernelName || session.kernelPreference.name;
  const wanted = kernel.id || kernel.name ? kernel : name ? { name } : {};
  await session.changeKernel(wanted);
}
