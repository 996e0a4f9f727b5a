import type { Order } from '../model/report';
import type { IProps } from './props';
import { h } from './jsx';

/** Filter and order of the rows. */
export function FilterBar({ look, state, trans, actions }: IProps): JSX.Element {
  const local = state.report?.platform.kind === 'local';
  const orders: [Order, string][] = [
    ['place', local ? trans.__('in the usual order') : trans.__('by app')],
    ['name', trans.__('by name')],
    ['soonest', trans.__('soonest to stop')]
  ];
  return (
    <div className="jp-AS-filter" role="search">
      <input
        type="text"
        autoFocus
        aria-label={
          local
            ? trans.__('Filter by name or folder')
            : trans.__('Filter by name, folder, app or instance type')
        }
        placeholder={trans.__('Filter')}
        value={look.filter}
        onChange={event => actions.look({ filter: event.target.value })}
        onKeyDown={event => {
          if (event.key === 'Escape') {
            // The field disappears, so the focus returns to the button that opened it.
            const panel = event.currentTarget.closest('.jp-AutoShutdown');
            panel?.querySelector<HTMLElement>('[aria-pressed]')?.focus();
            actions.look({ filtering: false, filter: '' });
          }
        }}
      />
      <select
        aria-label={trans.__('Order')}
        value={look.order}
        onChange={event => actions.look({ order: event.target.value as Order })}
      >
        {orders.map(([order, label]) => (
          <option key={order} value={order}>
            {label}
          </option>
        ))}
      </select>
    </div>
  );
}
