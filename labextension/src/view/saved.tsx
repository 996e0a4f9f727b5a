import { dayText, dollars, hoursText } from '../model/durations';
import { thisMonth } from '../model/money';
import type { IMonth } from '../model/money';
import { Section } from './folding';
import type { IReportProps } from './props';
import { h } from './jsx';

/** Hours and money that this month's removals saved; absent where nothing is ever billed. */
export function Saved(props: IReportProps): JSX.Element | null {
  const { report, now, trans } = props;
  if (report.platform.kind === 'local') {
    return null;
  }
  const month = thisMonth(report, now);
  return (
    <Section
      {...props}
      fold="saved"
      label={trans.__('Saved this month')}
      side={<span className="jp-AS-count">{total(month, props)}</span>}
    >
      {month.hours > 0 && <Chart {...props} month={month} />}
      <p className="jp-AS-hint">
        {month.hours === 0
          ? trans.__('Nothing yet: hours count when an instance stops because of Auto Shutdown.')
          : trans.__(
              'Instance hours that were not billed since %1; a stop counts for a day at most.',
              dayText(month.since)
            )}
        {month.unpricedHours > 0 &&
          ' ' +
            trans.__(
              'The price of %1 of them is not known and not included.',
              hoursText(month.unpricedHours, trans)
            )}
      </p>
    </Section>
  );
}

function total(month: IMonth, { trans }: IReportProps): string {
  const hours = hoursText(month.hours, trans);
  return month.hours > month.unpricedHours ? `${hours} · ${dollars(month.usd)}` : hours;
}

const WIDTH = 8;
const HEIGHT = 28;

/** One bar for each day of the month; its height is the hours saved. */
function Chart({ month, trans }: IReportProps & { month: IMonth }): JSX.Element {
  const most = Math.max(...month.days.map(day => day.instance_hours));
  const spoken = month.days
    .filter(day => day.instance_hours > 0)
    .map(day => `${dayText(day.day)}: ${hoursText(day.instance_hours, trans)}`)
    .join(', ');
  return (
    <svg
      role="img"
      className="jp-AS-chart"
      aria-label={trans.__('Saved by day: %1', spoken)}
      viewBox={`0 0 ${31 * WIDTH} ${HEIGHT}`}
      preserveAspectRatio="none"
    >
      {month.days.map((day, index) => {
        const height = Math.max(1, (day.instance_hours / most) * HEIGHT);
        const hours = hoursText(day.instance_hours, trans);
        return (
          <rect
            key={day.day}
            x={index * WIDTH}
            y={HEIGHT - height}
            width={WIDTH - 2}
            height={height}
          >
            <title>
              {day.usd > 0
                ? `${dayText(day.day)}: ${hours}, ${dollars(day.usd)}`
                : `${dayText(day.day)}: ${hours}`}
            </title>
          </rect>
        );
      })}
    </svg>
  );
}
